use http::Method;

use super::{
    super::tests::{Call, error},
    *,
};

const ODATA: ODataAsync = ODataAsync::new();
const MONITOR: &str = "https://example.com/monitors/1";
const ACCEPTED: [(&str, &str); 2] = [
    ("location", "/monitors/1"),
    ("preference-applied", "respond-async"),
];

fn poll(status: u16, headers: &[(&'static str, &str)]) -> Result<Step, DialectError> {
    let mut call = Call::new(&ODATA, Method::POST);
    assert_eq!(call.submit(202, &ACCEPTED, "").unwrap(), Step::AsHead);
    call.poll(MONITOR, status, headers, "")
}

#[test]
fn asynchronous_requests_are_recognised() {
    let version = [("location", "/monitors/1"), ("odata-version", "4.01")];
    let of_job = [ACCEPTED[0], ACCEPTED[1], ("job-status", "running")];
    for (status, headers, expected) in [
        (202, &ACCEPTED[..], true),
        (202, &version, true),
        (202, &ACCEPTED[..1], false),
        (202, &ACCEPTED[1..], false),
        (200, &ACCEPTED, false),
        (202, &of_job, false),
    ] {
        let found = Call::new(&ODATA, Method::GET).recognises(status, headers);
        assert_eq!(found, expected, "{status} {headers:?}");
    }
}

#[test]
fn location_is_enough_if_lenient() {
    let dialect = ODataAsync::new().lenient(true);
    let call = Call::new(&dialect, Method::GET);
    assert!(call.recognises(202, &ACCEPTED[..1]));
    assert!(!call.recognises(202, &ACCEPTED[1..]));
    assert!(!call.recognises(200, &ACCEPTED[..1]));
}

#[test]
fn async_result_is_the_status_of_the_response() {
    for (code, expected) in [
        ("200", StatusCode::OK),
        (" 204 ", StatusCode::NO_CONTENT),
        ("303", StatusCode::SEE_OTHER),
        ("404", StatusCode::NOT_FOUND),
        ("503", StatusCode::SERVICE_UNAVAILABLE),
    ] {
        let step = poll(200, &[("asyncresult", code)]).unwrap();
        assert_eq!(step, Step::DoneAs(expected));
    }
}

#[test]
fn async_result_that_is_no_final_status_is_an_error() {
    for code in ["", "OK", "99", "101", "2000"] {
        let message = error(poll(200, &[("asyncresult", code)]));
        assert_eq!(message, "`AsyncResult` in the answer is not a status code");
    }
}

#[test]
fn answer_200_without_async_result_is_the_response() {
    let headers = [("content-type", "application/http")];
    assert_eq!(poll(200, &headers).unwrap(), Step::Done);
}

#[test]
fn other_answers_are_read_by_their_head() {
    for status in [202, 303, 404, 500] {
        let step = poll(status, &[("asyncresult", "200")]).unwrap();
        assert_eq!(step, Step::AsHead);
    }
}
