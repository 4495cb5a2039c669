use serde_json::json;

use super::*;

#[test]
fn members_are_written_by_their_names() {
    let problem = Problem::new(ProblemType::JobLost)
        .with_detail("its worker is gone")
        .with_instance("/work/8f14")
        .with_extension("attempt", 2);
    assert_eq!(
        String::from_utf8(problem.to_json()).unwrap(),
        concat!(
            r#"{"type":"urn:http-polling:problem:job-lost","title":"The job was lost","#,
            r#""status":500,"detail":"its worker is gone","instance":"/work/8f14","attempt":2}"#,
        )
    );
    assert_eq!(Problem::from_json(&problem.to_json()).unwrap(), problem);
}

#[test]
fn members_of_the_wrong_type_are_absent() {
    let read = Problem::from_json(
        br#"{"type":1,"title":[],"status":"410","detail":null,"instance":{},"more":null}"#,
    )
    .unwrap();
    let expected = Problem::default().with_extension("more", Value::Null);
    assert_eq!(read, expected);
    for status in ["-1", "1.5", "70000", "1e9"] {
        let json = format!(r#"{{"status":{status}}}"#);
        assert_eq!(Problem::from_json(json.as_bytes()).unwrap().status, None);
    }
}

#[test]
fn what_is_no_object_is_refused() {
    for json in [&b""[..], b"null", b"[]", b"\"x\"", b"{", b"<html>", b"\xff"] {
        let error = Problem::from_json(json).unwrap_err();
        assert_eq!(error.to_string(), "not a problem document");
    }
}

#[test]
fn deeply_nested_input_is_refused_without_harm() {
    let json = format!(r#"{{"x":{}"#, "[".repeat(100_000));
    assert!(Problem::from_json(json.as_bytes()).is_err());
}

#[test]
fn an_extension_cannot_take_the_place_of_a_member() {
    let problem = Problem::default().with_extension("status", 200);
    let written: Value = serde_json::from_slice(&problem.to_json()).unwrap();
    assert_eq!(written, json!({"type": "about:blank"}));
}

#[test]
fn display_tells_what_there_is() {
    let problem = Problem::default();
    assert_eq!(problem.to_string(), "about:blank");
    assert_eq!(problem.with_detail("why").to_string(), "why");
    let problem = Problem::new(ProblemType::JobFailed);
    assert_eq!(problem.to_string(), "The job failed");
    assert_eq!(
        problem.with_detail("why").to_string(),
        "The job failed: why"
    );
}

#[test]
fn a_status_that_is_no_status_code_is_none() {
    let with = |status| Problem {
        status,
        ..Problem::default()
    };
    assert_eq!(with(Some(410)).status_code(), Some(StatusCode::GONE));
    assert_eq!(with(Some(9)).status_code(), None);
    assert_eq!(with(None).status_code(), None);
}

#[test]
fn c30_byte_order_mark_is_skipped() {
    let read = Problem::from_json(b"\xef\xbb\xbf{\"title\":\"It broke\"}").unwrap();
    assert_eq!(read.to_string(), "It broke");
}
