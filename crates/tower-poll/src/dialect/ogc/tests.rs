use super::{
    super::tests::{Call, error, failure, fetch, pending},
    *,
};

const OGC: OgcProcesses = OgcProcesses::new();
const EXECUTION: &str = "https://example.com/processes/a/execution";
const JOB: &str = "https://example.com/jobs/7";
const LOCATION: [(&str, &str); 1] = [("location", "/jobs/7")];

fn poll_at(job: &'static str, body: &str) -> Result<Step, DialectError> {
    let mut call = Call::new(&OGC, Method::POST).to(EXECUTION);
    assert_eq!(pending(call.submit(201, &LOCATION, "{}")).url, JOB);
    call.poll(job, 200, &[], body)
}

fn poll(body: &str) -> Result<Step, DialectError> {
    poll_at(JOB, body)
}

#[test]
fn asynchronous_execution_is_recognised() {
    let applied = [("location", "/1"), ("preference-applied", "respond-async")];
    let job_is_done = [("location", "/1"), ("job-status", "done")];
    for (method, uri, status, headers, expected) in [
        (Method::POST, EXECUTION, 201, &LOCATION[..], true),
        (Method::POST, "https://example.com/", 201, &applied, true),
        (Method::POST, "https://example.com/", 201, &LOCATION, false),
        (Method::POST, EXECUTION, 201, &[], false),
        (Method::POST, EXECUTION, 200, &LOCATION, false),
        (Method::PUT, EXECUTION, 201, &LOCATION, false),
        (Method::POST, EXECUTION, 201, &job_is_done, false),
    ] {
        let found = Call::new(&OGC, method).to(uri).recognises(status, headers);
        assert_eq!(found, expected, "{uri} {status} {headers:?}");
    }
}

#[test]
fn location_is_enough_if_lenient() {
    let dialect = OgcProcesses::new().lenient(true);
    for (method, status, headers, expected) in [
        (Method::POST, 200, &LOCATION[..], true),
        (Method::POST, 201, &LOCATION, true),
        (Method::POST, 202, &LOCATION, true),
        (Method::POST, 303, &LOCATION, false),
        (Method::POST, 201, &[], false),
        (Method::PUT, 201, &LOCATION, false),
    ] {
        let found = Call::new(&dialect, method.clone()).recognises(status, headers);
        assert_eq!(found, expected, "{method} {status} {headers:?}");
    }
}

#[test]
fn c35_job_that_cannot_be_found_is_an_error() {
    let mut call = Call::new(&OGC, Method::POST).to(EXECUTION);
    let step = call.submit(201, &[("location", "ftp://example.com/")], "{}");
    assert_eq!(error(step), "a URL in the answer cannot be used");
}

#[test]
fn pending_states_are_read_with_their_progress() {
    for (word, expected) in [
        ("accepted", Some(JobState::Queued)),
        ("Running", Some(JobState::Running)),
        ("paused", None),
    ] {
        let interim = pending(poll(&format!(
            r#"{{"status":"{word}","progress":25,"message":"at it"}}"#
        )));
        assert_eq!(
            (interim.state, interim.url.to_string().as_str()),
            (expected, JOB)
        );
        assert_eq!(interim.progress.unwrap().to_string(), "25 %: at it");
    }
    let interim = pending(poll(r#"{"status":"running","message":"at it"}"#));
    assert_eq!(interim.progress.unwrap().to_string(), "at it");
    let interim = pending(poll(r#"{"status":"running","progress":"x"}"#));
    assert_eq!(interim.progress, None);
}

#[test]
fn link_to_the_results_is_fetched() {
    let standard = r#"{"status":"successful","links":[7,{"rel":"self","href":"/jobs/7"},
        {"rel":"results","href":"/short"},
        {"rel":"http://www.opengis.net/def/rel/ogc/1.0/results","href":"7/r?f=json"}]}"#;
    assert_eq!(
        poll(standard).unwrap(),
        fetch("https://example.com/jobs/7/r?f=json")
    );
    let short = r#"{"status":"Successful","links":[{"rel":"results","href":"/short"}]}"#;
    assert_eq!(poll(short).unwrap(), fetch("https://example.com/short"));
}

#[test]
fn link_that_suits_the_caller_is_fetched() {
    const HTML: &str = r#"{"rel":"results","href":"/html","type":"text/html"}"#;
    const JSON: &str = r#"{"rel":"results","href":"/json","type":"application/json; a=b"}"#;
    const TIFF: &str = r#"{"rel":"results","href":"/tiff","type":"image/tiff"}"#;
    const UNTYPED: &str = r#"{"rel":"results","href":"/untyped"}"#;
    for (accept, links, expected) in [
        (None, &[HTML, JSON, TIFF][..], "/json"),
        (None, &[HTML, TIFF], "/tiff"),
        (None, &[HTML, UNTYPED], "/untyped"),
        (None, &[HTML], "/html"),
        (Some("*/*"), &[HTML, TIFF, JSON], "/json"),
        (Some("application/json"), &[HTML, JSON], "/json"),
        (Some("application/json"), &[HTML, UNTYPED], "/untyped"),
        (Some("image/*, */*;q=0.5"), &[HTML, JSON, TIFF], "/tiff"),
        (Some("text/html"), &[JSON, HTML], "/html"),
        (Some("text/html, */*;q=0.8"), &[JSON, HTML], "/html"),
        (Some("application/xml"), &[HTML, JSON], "/json"),
    ] {
        let body = format!(r#"{{"status":"successful","links":[{}]}}"#, links.join(","));
        let document = serde_json::from_str(&body).unwrap();
        let (uri, headers) = (Uri::from_static(JOB), http::HeaderMap::new());
        let announced = super::super::Announced::default();
        let answer = Answer::new(&Method::POST, &uri, &announced, StatusCode::OK, &headers);
        let answer = match accept {
            Some(accept) => answer.with_accept(accept),
            None => answer,
        };
        let found = results(&answer, &document).unwrap();
        assert_eq!(found.path(), expected, "{accept:?} {links:?}");
    }
}

#[test]
fn results_are_below_the_job_where_no_link_says_otherwise() {
    for (job, expected) in [
        (JOB, "https://example.com/jobs/7/results"),
        (
            "https://example.com/jobs/7?f=json",
            "https://example.com/jobs/7/results",
        ),
        (
            "https://example.com/jobs/7/",
            "https://example.com/jobs/7/results",
        ),
        (
            "https://example.com/jobs/a:b",
            "https://example.com/jobs/a:b/results",
        ),
        (
            "https://example.com//other.example",
            "https://example.com//other.example/results",
        ),
        ("/jobs/7", "/jobs/7/results"),
    ] {
        let step = poll_at(job, r#"{"status":"successful","links":null}"#).unwrap();
        assert_eq!(step, fetch(expected));
    }
}

#[test]
fn bad_ends_carry_their_message() {
    for (word, expected) in [
        ("failed", JobState::Failed),
        ("dismissed", JobState::Cancelled),
    ] {
        let body = format!(r#"{{"status":"{word}","message":"no such layer"}}"#);
        let (state, problem) = failure(poll(&body));
        assert_eq!(state, expected);
        assert_eq!(problem.unwrap().detail.as_deref(), Some("no such layer"));
        let (_, problem) = failure(poll(&format!(r#"{{"status":"{word}"}}"#)));
        assert_eq!(problem, None);
    }
}

#[test]
fn unreadable_documents_are_errors() {
    let links = r#"{"status":"successful","links":{}}"#;
    let href = r#"{"status":"successful","links":[{"rel":"results"}]}"#;
    let scheme = r#"{"status":"successful","links":[{"rel":"results","href":"ftp://a/b"}]}"#;
    for (body, expected) in [
        ("", "the status document lacks a body"),
        ("<html>", "the status document is not JSON"),
        ("{}", "the status document lacks `status`"),
        (r#"{"status":[]}"#, "`status` in the answer is not a string"),
        (links, "`links` in the answer is not an array"),
        (href, "the status document lacks `href` of the results"),
        (scheme, "a URL in the answer cannot be used"),
    ] {
        assert_eq!(error(poll(body)), expected, "{body}");
    }
}

#[test]
fn other_answers_of_a_job_are_read_by_their_head() {
    for status in [202, 303, 404, 500] {
        let mut call = Call::new(&OGC, Method::POST).to(EXECUTION);
        call.submit(201, &LOCATION, "{}").unwrap();
        assert_eq!(call.poll(JOB, status, &[], "{}").unwrap(), Step::AsHead);
    }
}
