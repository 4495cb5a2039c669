use std::{error::Error as _, time::Duration};

use super::{
    super::tests::{Call, failure, fetch, pending},
    *,
};

const RESOURCE: StatusResource = StatusResource::new();
const URL: &str = "https://example.com/work/8f14/status";
const JSON: [(&str, &str); 1] = [("content-type", "application/json")];

fn poll(url: &'static str, body: &str) -> Result<Step, DialectError> {
    let mut call = Call::new(&RESOURCE, Method::POST);
    let interim = pending(call.submit(202, &[("location", "/work/8f14/status")], ""));
    assert_eq!(interim.url, URL);
    call.poll(url, 200, &JSON, body)
}

fn document(state: &str) -> String {
    format!(r#"{{"id":"8f14","state":"{state}"}}"#)
}

#[test]
fn status_resources_are_recognised() {
    let named = [("content-location", "/work/8f14/status")];
    let other = [("location", "/work/8f14")];
    for (method, uri, status, headers, expected) in [
        (Method::POST, "https://example.com/", 202, &named[..], true),
        (Method::POST, "https://example.com/", 201, &named, true),
        (Method::POST, "https://example.com/", 303, &named, false),
        (Method::POST, "https://example.com/", 202, &other, false),
        (Method::GET, URL, 200, &JSON, true),
        (Method::GET, URL, 200, &[], false),
        (Method::GET, URL, 404, &JSON, false),
        (Method::POST, URL, 200, &JSON, false),
        (Method::GET, "https://example.com/", 200, &JSON, false),
    ] {
        let found = Call::new(&RESOURCE, method)
            .to(uri)
            .recognises(status, headers);
        assert_eq!(found, expected, "{uri} {status} {headers:?}");
    }
}

#[test]
fn pending_document_is_read_whole() {
    let body = r#"{"id":"8f14","state":"running","retry_after_ms":700,
        "progress":{"fraction":0.5}}"#;
    let interim = pending(poll(URL, body));
    assert_eq!(interim.url, URL);
    assert_eq!(interim.state, Some(JobState::Running));
    assert_eq!(interim.retry_after, Some(Duration::from_millis(700)));
    assert_eq!(interim.progress.unwrap().ratio(), Some(0.5));
}

#[test]
fn status_that_a_get_is_sent_to_is_followed() {
    let mut call = Call::new(&RESOURCE, Method::GET).to(URL);
    let interim = pending(call.submit(200, &JSON, &document("queued")));
    assert_eq!(
        (interim.url, interim.retry_after),
        (Uri::from_static(URL), None)
    );
    let step = call.poll(URL, 200, &JSON, &document("done")).unwrap();
    assert_eq!(step, fetch("https://example.com/work/8f14"));
}

#[test]
fn job_is_fetched_once_it_is_done() {
    for (url, expected) in [
        (URL, "https://example.com/work/8f14"),
        (
            "https://example.com/a:b/status?c",
            "https://example.com/a:b",
        ),
        ("https://example.com/status", "https://example.com/"),
        ("/work/8f14/status", "/work/8f14"),
    ] {
        assert_eq!(poll(url, &document("done")).unwrap(), fetch(expected));
    }
}

#[test]
fn bad_ends_are_failures() {
    for state in [
        "failed",
        "timed-out",
        "lost",
        "cancelled",
        "expired",
        "unknown",
    ] {
        let (found, problem) = failure(poll(URL, &document(state)));
        assert_eq!((found.as_str(), problem), (state, None));
    }
}

#[test]
fn other_documents_are_errors() {
    for body in ["", "<html>", "{}", &document("resting")] {
        let error = poll(URL, body).unwrap_err();
        assert_eq!(error.to_string(), "the answer's body cannot be read");
        assert!(error.source().is_some());
    }
}

#[test]
fn other_answers_are_read_by_their_head() {
    let elsewhere = poll("https://example.com/work/8f14", &document("done"));
    assert_eq!(elsewhere.unwrap(), Step::AsHead);
    let mut call = Call::new(&RESOURCE, Method::POST);
    call.submit(202, &[("location", "/work/8f14/status")], "")
        .unwrap();
    for status in [202, 303, 404, 503] {
        let step = call.poll(URL, status, &JSON, &document("done")).unwrap();
        assert_eq!(step, Step::AsHead);
    }
}
