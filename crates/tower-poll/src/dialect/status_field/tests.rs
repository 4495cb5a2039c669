use super::{
    super::tests::{Call, SUBMITTED_TO, error, failure, fetch, pending},
    *,
};

const URL: &str = "https://example.com/operations/7";
const JSON: [(&str, &str); 1] = [("content-type", "application/json")];

fn poll_of(
    field: &str,
    status: u16,
    headers: &[(&'static str, &str)],
    body: &str,
) -> Result<Step, DialectError> {
    let dialect = StatusField::new(field);
    let mut call = Call::new(&dialect, Method::POST);
    let interim = pending(call.submit(202, &[("location", "/operations/7")], ""));
    assert_eq!(interim.url, URL);
    call.poll(URL, status, headers, body)
}

fn poll(body: &str) -> Result<Step, DialectError> {
    poll_of("status", 200, &[], body)
}

#[test]
fn answers_that_lead_on_are_recognised_and_json_to_get() {
    let status = StatusField::new("status");
    for (method, code, headers, expected) in [
        (Method::POST, 202, &[("location", "/1")][..], true),
        (Method::DELETE, 202, &[("content-location", "/1")], true),
        (Method::PUT, 201, &[("location", "/1")], true),
        (Method::POST, 200, &JSON, false),
        (Method::POST, 202, &[], false),
        (Method::GET, 200, &JSON, true),
        (Method::GET, 200, &[], false),
        (Method::GET, 202, &[], true),
        (Method::GET, 404, &JSON, false),
        (
            Method::POST,
            202,
            &[("location", "/1"), ("job-status", "running")],
            false,
        ),
    ] {
        let found = Call::new(&status, method.clone()).recognises(code, headers);
        assert_eq!(found, expected, "{method} {code} {headers:?}");
    }
}

#[test]
fn words_count_in_any_case_and_with_any_separator() {
    for word in ["Succeeded", "completed", "DONE", "suc-ceeded"] {
        let step = poll(&format!(r#"{{"status":"{word}"}}"#)).unwrap();
        assert_eq!(step, Step::Done, "{word}");
    }
    for (word, expected) in [
        ("Failed", JobState::Failed),
        ("ERROR", JobState::Failed),
        ("Canceled", JobState::Cancelled),
        ("timed_out", JobState::TimedOut),
        ("Timed Out", JobState::TimedOut),
        ("expired", JobState::Expired),
    ] {
        let (state, _) = failure(poll(&format!(r#"{{"status":"{word}"}}"#)));
        assert_eq!(state, expected, "{word}");
    }
    for (word, expected) in [
        ("in_progress", Some(JobState::Running)),
        ("NotStarted", Some(JobState::Queued)),
        ("Reticulating", None),
        ("", None),
    ] {
        let interim = pending(poll(&format!(r#"{{"status":"{word}","progress":25}}"#)));
        assert_eq!(
            (interim.state, interim.url),
            (expected, URL.parse().unwrap())
        );
        assert_eq!(interim.progress.unwrap().ratio(), Some(0.25));
    }
}

#[test]
fn booleans_tell_whether_it_is_done() {
    let read = |body| poll_of("done", 200, &[], body);
    pending(read(r#"{"done":false}"#));
    assert_eq!(read(r#"{"done":true}"#).unwrap(), Step::Done);
    let (state, problem) = failure(read(r#"{"done":true,"error":{"message":"No disk."}}"#));
    assert_eq!(state, JobState::Failed);
    assert_eq!(problem.unwrap().detail.as_deref(), Some("No disk."));
}

#[test]
fn name_with_dots_leads_into_the_document() {
    let body = r#"{"properties":{"state":"running"}}"#;
    pending(poll_of("properties.state", 200, &[], body));
    assert!(poll_of("properties.status", 200, &[], body).is_err());
}

#[test]
fn response_is_at_the_location_of_the_last_answer() {
    let headers = [("location", "/operations/7/result")];
    let step = poll_of("status", 200, &headers, r#"{"status":"Succeeded"}"#);
    assert_eq!(
        step.unwrap(),
        fetch("https://example.com/operations/7/result")
    );
    let bad = [("location", "ftp://example.com/")];
    let step = poll_of("status", 200, &bad, r#"{"status":"Succeeded"}"#);
    assert_eq!(error(step), "a URL in the answer cannot be used");
}

#[test]
fn poll_that_is_redirected_without_a_delay_has_succeeded() {
    let headers = [("location", "/result")];
    let step = poll_of("status", 303, &headers, "").unwrap();
    assert_eq!(step, fetch("https://example.com/result"));
    let headers = [("location", "/result"), ("retry-after", "1")];
    assert_eq!(poll_of("status", 303, &headers, "").unwrap(), Step::AsHead);
}

#[test]
fn documents_without_a_state_are_errors() {
    for (body, expected) in [
        ("", "the status document lacks a body"),
        ("<html>", "the status document is not JSON"),
        ("{}", "the status document lacks the member for its state"),
        ("[]", "the status document lacks the member for its state"),
        (
            r#"{"status":7}"#,
            "`the state` in the answer is not a string",
        ),
    ] {
        assert_eq!(error(poll(body)), expected, "{body}");
    }
}

#[test]
fn answer_202_is_pending_unless_its_state_says_more() {
    for body in ["", "{}", r#"{"status":"Running"}"#] {
        assert_eq!(pending(poll_of("status", 202, &[], body)).url, URL);
    }
    let step = poll_of("status", 202, &[], r#"{"status":"Succeeded"}"#);
    assert_eq!(step.unwrap(), Step::Done);
}

#[test]
fn status_that_a_get_is_sent_to_is_followed() {
    let dialect = StatusField::new("status");
    let mut call = Call::new(&dialect, Method::GET);
    let interim = pending(call.submit(200, &JSON, r#"{"status":"running"}"#));
    assert_eq!(interim.url, SUBMITTED_TO);
    let mut call = Call::new(&dialect, Method::GET);
    assert_eq!(
        call.submit(200, &JSON, r#"{"name":"seven"}"#).unwrap(),
        Step::Done
    );
    let mut call = Call::new(&dialect, Method::GET);
    assert_eq!(pending(call.submit(202, &[], "")).url, SUBMITTED_TO);
}

#[test]
fn texts_become_the_detail_of_the_problem() {
    for body in [
        r#"{"status":"failed","error":"No disk."}"#,
        r#"{"status":"failed","message":"No disk."}"#,
    ] {
        let (_, problem) = failure(poll(body));
        assert_eq!(problem.unwrap().detail.as_deref(), Some("No disk."));
    }
}
