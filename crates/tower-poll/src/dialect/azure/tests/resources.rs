//! Resources with a state of their own.

use super::*;

#[test]
fn resource_is_polled_where_it_was_put() {
    for method in [Method::PUT, Method::PATCH] {
        for status in [200, 201] {
            let mut call = Call::new(&RESOURCES, method.clone());
            let interim = pending(call.submit(status, &JSON, &resource("Creating")));
            assert_eq!(interim.url, SUBMITTED_TO);
            let interim = pending(call.poll(SUBMITTED_TO, 200, &JSON, &resource("Updating")));
            assert_eq!(interim.url, SUBMITTED_TO);
            let step = call.poll(SUBMITTED_TO, 200, &JSON, &resource("succeeded"));
            assert_eq!(step.unwrap(), Step::Done);
        }
    }
}

#[test]
fn resource_that_failed_is_a_failure() {
    let mut call = Call::new(&RESOURCES, Method::PUT);
    let (state, _) = failure(call.submit(200, &JSON, &resource("Failed")));
    assert_eq!(state, JobState::Failed);
    let body = r#"{"provisioningState":"Canceled","error":{"code":"Stopped"}}"#;
    let (state, problem) = failure(call.poll(SUBMITTED_TO, 200, &JSON, body));
    assert_eq!(state, JobState::Cancelled);
    assert_eq!(problem.unwrap().title.as_deref(), Some("Stopped"));
}

#[test]
fn resource_without_a_state_is_done_unless_it_was_just_created() {
    for body in ["", "{}", "[]", r#"{"properties":null}"#] {
        let mut call = Call::new(&RESOURCES, Method::PUT);
        assert_eq!(call.submit(200, &JSON, body).unwrap(), Step::Done, "{body}");
        let mut call = Call::new(&RESOURCES, Method::PUT);
        assert_eq!(pending(call.submit(201, &JSON, body)).url, SUBMITTED_TO);
    }
    let mut call = Call::new(&RESOURCES, Method::PUT);
    pending(call.submit(201, &JSON, "{}"));
    let step = call.poll(SUBMITTED_TO, 200, &JSON, "{}").unwrap();
    assert_eq!(step, Step::Done);
}

#[test]
fn unreadable_resources_are_errors() {
    let wrong = r#"{"properties":{"provisioningState":{}}}"#;
    for (body, expected) in [
        ("", "the status document lacks a body"),
        ("<html>", "the status document is not JSON"),
        (wrong, "`provisioningState` in the answer is not a string"),
    ] {
        let mut call = Call::new(&RESOURCES, Method::PUT);
        pending(call.submit(201, &JSON, "{}"));
        assert_eq!(error(call.poll(SUBMITTED_TO, 200, &JSON, body)), expected);
    }
}

#[test]
fn resource_that_answers_204_is_read_by_its_head() {
    let mut call = Call::new(&RESOURCES, Method::PUT);
    pending(call.submit(201, &JSON, "{}"));
    let step = call.poll(SUBMITTED_TO, 204, &[], "").unwrap();
    assert_eq!(step, Step::AsHead);
}

#[test]
fn location_is_read_as_a_resource_once_202_is_over() {
    let location = [("location", "/results/1")];
    for (status, headers, body, expected) in [
        (202, &JSON[..], "", Step::AsHead),
        (204, &[], "", Step::AsHead),
        (200, &[], "", Step::AsHead),
        (200, &JSON, "", Step::Done),
        (200, &JSON, "{}", Step::Done),
    ] {
        let mut call = Call::new(&RESOURCES, Method::DELETE);
        assert_eq!(call.submit(202, &location, "").unwrap(), Step::AsHead);
        let step = call.poll(RESULT, status, headers, body).unwrap();
        assert_eq!(step, expected, "{status} {body}");
    }
    let mut call = Call::new(&RESOURCES, Method::DELETE);
    call.submit(202, &location, "").unwrap();
    let interim = pending(call.poll(RESULT, 200, &JSON, &resource("Deleting")));
    assert_eq!(interim.url, RESULT);
}

#[test]
fn change_that_is_accepted_without_a_url_is_polled_at_the_resource() {
    let mut call = Call::new(&RESOURCES, Method::PATCH);
    assert_eq!(pending(call.submit(202, &[], "")).url, SUBMITTED_TO);
    pending(call.poll(SUBMITTED_TO, 200, &JSON, &resource("Updating")));
    let step = call.poll(SUBMITTED_TO, 200, &JSON, &resource("Succeeded"));
    assert_eq!(step.unwrap(), Step::Done);
    assert!(!Call::new(&RESOURCES, Method::DELETE).recognises(202, &[]));
    assert!(!Call::new(&BY_HEADERS, Method::PUT).recognises(202, &[]));
}

#[test]
fn monitor_goes_before_the_resource() {
    let mut call = started(&RESOURCES, Method::PUT, &JSON);
    let step = call.poll(MONITOR, 200, &JSON, SUCCEEDED).unwrap();
    assert_eq!(step, original());
}

#[test]
fn only_json_answers_to_changes_are_taken_for_resources() {
    let text = [("content-type", "text/plain")];
    for (method, status, headers) in [
        (Method::PUT, 200, &text[..]),
        (Method::PUT, 200, &[]),
        (Method::PUT, 204, &JSON),
        (Method::POST, 200, &JSON),
        (Method::GET, 200, &JSON),
    ] {
        let call = Call::new(&RESOURCES, method.clone());
        assert!(!call.recognises(status, headers), "{method} {status}");
    }
    let json = [("content-type", "Application/Vnd.Example+JSON")];
    assert!(Call::new(&RESOURCES, Method::PATCH).recognises(200, &json));
}
