use http::Method;

use super::{
    super::tests::{Call, error, pending},
    *,
};

const FHIR: FhirAsync = FhirAsync::new();
const STATUS: &str = "https://example.com/status/1";
const ACCEPTED: [(&str, &str); 1] = [("content-location", "/status/1")];

fn poll(status: u16, headers: &[(&'static str, &str)]) -> Step {
    let mut call = Call::new(&FHIR, Method::GET);
    assert_eq!(call.submit(202, &ACCEPTED, "").unwrap(), Step::AsHead);
    call.poll(STATUS, status, headers, "").unwrap()
}

#[test]
fn only_content_location_alone_is_recognised() {
    let both = [("location", "/1"), ("content-location", "/1")];
    for (status, headers, expected) in [
        (202, &ACCEPTED[..], true),
        (202, &both, false),
        (202, &[], false),
        (200, &ACCEPTED, false),
    ] {
        let found = Call::new(&FHIR, Method::GET).recognises(status, headers);
        assert_eq!(found, expected, "{status} {headers:?}");
    }
}

#[test]
fn percentage_in_the_text_is_the_fraction() {
    for (text, expected) in [
        ("50%", Some(0.5)),
        ("in progress: 32%", Some(0.32)),
        ("12.5 % of 3 files", Some(0.125)),
        ("%, or 100%", Some(1.0)),
        ("250%", Some(1.0)),
        ("1.2.3%", None),
        ("building, 7 files", None),
        ("%", None),
        ("", None),
    ] {
        let progress = pending(Ok(poll(202, &[("x-progress", text)])))
            .progress
            .unwrap();
        assert_eq!(progress.ratio(), expected, "{text}");
        assert_eq!(progress.message.as_deref(), Some(text));
    }
}

#[test]
fn long_text_is_cut() {
    let text = "x".repeat(5000);
    let progress = pending(Ok(poll(202, &[("x-progress", &text)])))
        .progress
        .unwrap();
    assert_eq!(progress.message.unwrap().len(), MAX_MESSAGE);
}

#[test]
fn next_poll_goes_where_the_head_says() {
    for (headers, expected) in [
        (&[("x-progress", "1%")][..], STATUS),
        (
            &[("x-progress", "1%"), ("content-location", "/2")],
            "https://example.com/2",
        ),
        (
            &[
                ("x-progress", "1%"),
                ("content-location", "/2"),
                ("location", "/3"),
            ],
            "https://example.com/3",
        ),
    ] {
        assert_eq!(pending(Ok(poll(202, headers))).url, expected);
    }
    let mut call = Call::new(&FHIR, Method::GET);
    let headers = [ACCEPTED[0], ("x-progress", "0%")];
    assert_eq!(pending(call.submit(202, &headers, "")).url, STATUS);
}

#[test]
fn content_location_takes_precedence_over_location_if_lenient() {
    let dialect = FhirAsync::new().lenient(true);
    let mut call = Call::new(&dialect, Method::GET);
    let headers = [ACCEPTED[0], ("location", "/3")];
    assert_eq!(pending(call.submit(202, &headers, "")).url, STATUS);
}

#[test]
fn c35_status_url_that_cannot_be_used_is_an_error() {
    let mut call = Call::new(&FHIR, Method::GET);
    let headers = [("content-location", "ftp://x/"), ("x-progress", "0%")];
    assert_eq!(
        error(call.submit(202, &headers, "")),
        "a URL in the answer cannot be used"
    );
}

#[test]
fn everything_else_is_read_by_its_head() {
    assert_eq!(poll(202, &[]), Step::AsHead);
    for status in [200, 303, 404, 429, 500] {
        assert_eq!(poll(status, &[("x-progress", "50%")]), Step::AsHead);
    }
}
