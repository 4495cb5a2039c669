mod resources;

use super::{
    super::tests::{Call, SUBMITTED_TO, error, failure, fetch, pending},
    *,
};

const MONITOR: &str = "https://example.com/operations/1";
const RESULT: &str = "https://example.com/results/1";
const BY_HEADERS: AzureResourceManager = AzureResourceManager::new();
const RESOURCES: AzureResourceManager = AzureResourceManager::new().poll_resources(true);
const UNUSABLE: &str = "a URL in the answer cannot be used";
const JSON: [(&str, &str); 1] = [("content-type", "application/json; charset=utf-8")];
const SUCCEEDED: &str = r#"{"status":"Succeeded"}"#;

/// A call that was accepted, with these headers and a monitor.
fn started<'a>(
    dialect: &'a AzureResourceManager,
    method: Method,
    beside: &[(&'static str, &str)],
) -> Call<'a> {
    let mut headers = vec![("azure-asyncoperation", "/operations/1")];
    headers.extend(beside);
    let mut call = Call::new(dialect, method);
    assert_eq!(pending(call.submit(202, &headers, "")).url, MONITOR);
    call
}

fn poll(body: &str) -> Result<Step, DialectError> {
    started(&BY_HEADERS, Method::PUT, &[]).poll(MONITOR, 200, &[], body)
}

/// The step that fetches the resource.
fn original() -> Step {
    fetch(SUBMITTED_TO)
}

/// The step after the monitor said `body`.
fn end(
    final_state: Option<FinalState>,
    method: Method,
    beside: &[(&'static str, &str)],
    body: &str,
) -> Result<Step, DialectError> {
    let dialect = AzureResourceManager {
        final_state,
        ..BY_HEADERS
    };
    started(&dialect, method, beside).poll(MONITOR, 200, &[], body)
}

#[test]
fn monitor_is_followed_after_every_start() {
    for name in ["azure-asyncoperation", "operation-location"] {
        for method in [Method::PUT, Method::PATCH, Method::POST, Method::DELETE] {
            for status in [200, 201, 202] {
                let mut call = Call::new(&BY_HEADERS, method.clone());
                let interim = pending(call.submit(status, &[(name, "/operations/1")], "{}"));
                assert_eq!(interim.url, MONITOR, "{name} {method} {status}");
            }
        }
    }
}

#[test]
fn other_answers_are_not_recognised() {
    let monitor = [("operation-location", "/operations/1")];
    assert!(!Call::new(&BY_HEADERS, Method::GET).recognises(202, &monitor));
    for status in [204, 303, 400, 500] {
        assert!(!Call::new(&BY_HEADERS, Method::PUT).recognises(status, &monitor));
    }
    assert!(!Call::new(&BY_HEADERS, Method::PUT).recognises(201, &JSON));
}

#[test]
fn azure_async_operation_goes_before_operation_location() {
    let beside = [("operation-location", "/other"), ("location", "/results/1")];
    started(&BY_HEADERS, Method::POST, &beside);
}

#[test]
fn words_count_in_any_case() {
    for word in ["Succeeded", "succeeded", "SUCCEEDED"] {
        let step = poll(&format!(r#"{{"status":"{word}"}}"#)).unwrap();
        assert_eq!(step, original(), "{word}");
    }
    for (word, expected) in [
        ("Failed", JobState::Failed),
        ("FAILED", JobState::Failed),
        ("Canceled", JobState::Cancelled),
        ("cancelled", JobState::Cancelled),
    ] {
        let (state, problem) = failure(poll(&format!(r#"{{"status":"{word}"}}"#)));
        assert_eq!((state, problem), (expected, None), "{word}");
    }
}

#[test]
fn pending_state_and_progress_are_read() {
    let interim = pending(poll(r#"{"status":"inProgress","percentComplete":40.0}"#));
    assert_eq!(interim.url, MONITOR);
    assert_eq!(interim.state, Some(JobState::Running));
    assert_eq!(interim.progress.unwrap().ratio(), Some(0.4));
    let interim = pending(poll(r#"{"status":"Reticulating","percentComplete":"40"}"#));
    assert_eq!((interim.state, interim.progress), (None, None));
}

#[test]
fn error_becomes_the_problem() {
    let body = r#"{"status":"Failed","error":{"code":"Conflict","message":"It is taken.",
        "target":7,"details":[{"code":"Other"}]}}"#;
    let (state, problem) = failure(poll(body));
    let problem = problem.unwrap();
    assert_eq!(state, JobState::Failed);
    assert_eq!(problem.title.as_deref(), Some("Conflict"));
    assert_eq!(problem.detail.as_deref(), Some("It is taken."));
    assert_eq!(problem.status, None);
    assert_eq!(problem.extensions["details"][0]["code"], "Other");
}

#[test]
fn error_of_another_form_leaves_out_the_problem() {
    for body in [
        r#"{"status":"Failed","error":null}"#,
        r#"{"status":"Failed","error":"it broke"}"#,
    ] {
        assert_eq!(failure(poll(body)), (JobState::Failed, None));
    }
}

#[test]
fn moved_monitor_is_followed() {
    let mut call = started(&BY_HEADERS, Method::PUT, &[]);
    let moved = [("azure-asyncoperation", "/operations/2")];
    let interim = pending(call.poll(MONITOR, 200, &moved, r#"{"status":"Running"}"#));
    assert_eq!(interim.url, "https://example.com/operations/2");
}

#[test]
fn response_is_where_the_method_says() {
    let location = [("location", "/results/1")];
    for (method, beside, expected) in [
        (Method::PUT, &location[..], original()),
        (Method::PATCH, &location, original()),
        (Method::POST, &location, fetch(RESULT)),
        (Method::POST, &[], Step::Done),
        (Method::DELETE, &location, Step::Done),
    ] {
        let step = end(None, method.clone(), beside, SUCCEEDED).unwrap();
        assert_eq!(step, expected, "{method} {beside:?}");
    }
}

#[test]
fn final_state_goes_before_the_method() {
    use FinalState::{AzureAsyncOperation, Location, OperationLocation, OriginalUri};
    let location = [("location", "/results/1")];
    for (final_state, method, beside, expected) in [
        (Location, Method::POST, &location[..], fetch(RESULT)),
        (Location, Method::PUT, &location, fetch(RESULT)),
        (Location, Method::DELETE, &location, fetch(RESULT)),
        (Location, Method::POST, &[], Step::Done),
        (Location, Method::PUT, &[], original()),
        (OriginalUri, Method::POST, &location, original()),
        (OperationLocation, Method::POST, &location, Step::Done),
        (OperationLocation, Method::PUT, &location, original()),
        (AzureAsyncOperation, Method::POST, &location, Step::Done),
        (AzureAsyncOperation, Method::PATCH, &[], original()),
        (AzureAsyncOperation, Method::DELETE, &[], Step::Done),
    ] {
        let step = end(Some(final_state), method.clone(), beside, SUCCEEDED).unwrap();
        assert_eq!(step, expected, "{final_state:?} {method} {beside:?}");
    }
}

#[test]
fn resource_location_is_fetched() {
    let body = r#"{"status":"succeeded","resourceLocation":"/results/1"}"#;
    let location = [("location", "/elsewhere")];
    for method in [Method::PUT, Method::PATCH, Method::POST] {
        let step = end(None, method, &location, body).unwrap();
        assert_eq!(step, fetch(RESULT));
    }
    let step = end(None, Method::DELETE, &location, body).unwrap();
    assert_eq!(step, Step::Done);
    let own = Some(FinalState::OperationLocation);
    assert_eq!(end(own, Method::POST, &location, body).unwrap(), Step::Done);
}

#[test]
fn resource_location_is_resolved_against_the_monitor() {
    for (reference, expected) in [
        ("2?a=b", "https://example.com/operations/2?a=b"),
        ("//other.example/ä", "https://other.example/%C3%A4"),
    ] {
        let body = format!(r#"{{"status":"Succeeded","resourceLocation":"{reference}"}}"#);
        assert_eq!(poll(&body).unwrap(), fetch(expected));
    }
    let bad = r#"{"status":"Succeeded","resourceLocation":"file:///etc/passwd"}"#;
    assert_eq!(error(poll(bad)), UNUSABLE);
}

#[test]
fn unreadable_monitors_are_errors() {
    for (body, expected) in [
        ("", "the status document lacks a body"),
        ("<html>", "the status document is not JSON"),
        (r#"{"status":"Succ"#, "the status document is not JSON"),
        ("{}", "the status document lacks `status`"),
        ("[]", "the status document lacks `status`"),
        (r#"{"status":null}"#, "the status document lacks `status`"),
        (r#"{"status":""}"#, "the status document lacks `status`"),
        (r#"{"status":7}"#, "`status` in the answer is not a string"),
        (
            r#"{"status":"Succeeded","resourceLocation":[]}"#,
            "`resourceLocation` in the answer is not a string",
        ),
    ] {
        assert_eq!(error(poll(body)), expected, "{body}");
    }
}

#[test]
fn monitor_that_answers_202_is_pending_unless_its_status_says_more() {
    for body in ["", "{}", r#"{"status":"Running"}"#] {
        let mut call = started(&BY_HEADERS, Method::PUT, &[]);
        // The URL of the later result, and not of the monitor.
        let headers = [("location", "/results/1")];
        let interim = pending(call.poll(MONITOR, 202, &headers, body));
        assert_eq!(interim.url, MONITOR);
    }
    let mut call = started(&BY_HEADERS, Method::PUT, &[]);
    let step = call.poll(MONITOR, 202, &[], SUCCEEDED).unwrap();
    assert_eq!(step, original());
}

#[test]
fn monitor_that_answers_204_has_succeeded() {
    let mut call = started(&BY_HEADERS, Method::DELETE, &[]);
    assert_eq!(call.poll(MONITOR, 204, &[], "").unwrap(), Step::Done);
    let mut call = started(&BY_HEADERS, Method::PUT, &[]);
    let step = call.poll(MONITOR, 204, &[], "").unwrap();
    assert_eq!(step, original());
}

#[test]
fn other_answers_of_a_monitor_are_read_by_their_head() {
    for status in [303, 404, 429, 500, 503] {
        let mut call = started(&BY_HEADERS, Method::PUT, &[]);
        let step = call.poll(MONITOR, status, &[], SUCCEEDED).unwrap();
        assert_eq!(step, Step::AsHead, "{status}");
    }
}

#[test]
fn monitor_is_asked_with_the_api_version_of_the_submission() {
    const SUBMISSION: &str = "https://example.com/things/7?Api-Version=2031-01-01&x=y";
    for (query, expected) in [
        ("", "?Api-Version=2031-01-01"),
        ("?a=b", "?a=b&Api-Version=2031-01-01"),
        ("?api-version=2030-01-01", "?api-version=2030-01-01"),
    ] {
        let monitor = format!("/operations/1{query}");
        let mut call = Call::new(&BY_HEADERS, Method::PUT).to(SUBMISSION);
        let interim = pending(call.submit(201, &[("operation-location", &monitor)], "{}"));
        assert_eq!(interim.url, *format!("{MONITOR}{expected}"));
        let next = pending(call.poll(MONITOR, 200, &[], r#"{"status":"Running"}"#));
        assert_eq!(next.url, interim.url);
    }
    // A foreign one may be signed.
    let foreign = "https://other.example/operations/1";
    let mut call = Call::new(&BY_HEADERS, Method::PUT).to(SUBMISSION);
    let interim = pending(call.submit(201, &[("operation-location", foreign)], "{}"));
    assert_eq!(interim.url, foreign);
    let mut call = Call::new(&RESOURCES, Method::DELETE).to(SUBMISSION);
    let interim = pending(call.submit(202, &[("location", "/results/1")], ""));
    assert_eq!(interim.url, *format!("{RESULT}?Api-Version=2031-01-01"));
}

#[test]
fn monitor_without_a_status_is_read_by_its_provisioning_state() {
    pending(poll(&resource("Creating")));
    assert_eq!(poll(&resource("Succeeded")).unwrap(), original());
    assert_eq!(failure(poll(&resource("Failed"))).0, JobState::Failed);
}

#[test]
fn c35_monitors_that_cannot_be_used_are_errors() {
    for name in ["azure-asyncoperation", "operation-location"] {
        for monitor in ["", "ftp://example.com/", "http://a:b:c/", "/100%"] {
            let mut call = Call::new(&BY_HEADERS, Method::POST);
            let step = call.submit(202, &[(name, monitor)], "");
            assert_eq!(error(step), UNUSABLE, "{monitor}");
        }
        let mut call = Call::new(&BY_HEADERS, Method::POST);
        let twice = [(name, "/operations/1"), (name, "/operations/2")];
        assert_eq!(error(call.submit(202, &twice, "")), UNUSABLE);
        let mut call = Call::new(&BY_HEADERS, Method::POST);
        let same = [(name, "/operations/1"), (name, "/operations/1")];
        assert_eq!(pending(call.submit(202, &same, "")).url, MONITOR);
    }
    // An earlier readable one does not count.
    let mut call = started(&BY_HEADERS, Method::PUT, &[]);
    let moved = [("azure-asyncoperation", "ftp://example.com/")];
    let step = call.poll(MONITOR, 200, &moved, r#"{"status":"Running"}"#);
    assert_eq!(error(step), UNUSABLE);
}

fn resource(state: &str) -> String {
    format!(r#"{{"properties":{{"provisioningState":"{state}"}}}}"#)
}
