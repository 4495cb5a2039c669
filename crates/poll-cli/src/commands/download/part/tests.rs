use http::Uri;
use serde_json::json;

use super::*;

fn state() -> State {
    let url = Uri::from_static("http://a.example/work/1").to_string();
    let job = json!({ "version": 1, "url": url, "origin": url });
    State {
        request: None,
        job: serde_json::from_value(job).unwrap(),
        validator: Some("\"a\"".to_owned()),
        length: Some(10),
        encoding: None,
    }
}

fn answered(status: u16, headers: &[(&str, &str)], state: &State) -> &'static str {
    let mut response = Response::builder().status(status);
    for (name, value) in headers {
        response = response.header(*name, *value);
    }
    match judge(response.body(()).unwrap(), 4, state) {
        Ok(Answer::Whole(_)) => "whole",
        Ok(Answer::Rest(..)) => "rest",
        Ok(Answer::Complete) => "complete",
        Ok(Answer::Changed) => "changed",
        Err(failure) if failure.code == Code::Range => "another part",
        Err(_) => "failed",
    }
}

#[test]
fn only_the_part_that_follows_on_the_same_result_is_the_rest() {
    let of = |headers: &[_]| answered(206, headers, &state());
    for (range, expected) in [
        ("bytes 4-9/10", "rest"),
        ("bytes 4-6/10", "rest"),
        ("bytes 4-9/*", "rest"),
        ("bytes 3-9/10", "another part"),
        ("bytes 5-9/10", "another part"),
        ("bytes 0-9/10", "another part"),
        ("bytes 4-10/10", "another part"),
        ("bytes 4-11/12", "another part"),
        ("bytes 4-3/10", "another part"),
        ("bytes */10", "another part"),
        ("lines 4-9/10", "another part"),
        ("4-9/10", "another part"),
        ("", "another part"),
    ] {
        assert_eq!(of(&[("content-range", range)]), expected, "{range}");
    }
    assert_eq!(of(&[]), "another part");
    let rest = ("content-range", "bytes 4-9/10");
    for (tag, expected) in [
        ("\"a\"", "rest"),
        ("\"b\"", "changed"),
        ("W/\"a\"", "changed"),
    ] {
        assert_eq!(of(&[rest, ("etag", tag)]), expected, "{tag}");
    }
    assert_eq!(of(&[rest, ("content-encoding", "gzip")]), "another part");
}

#[test]
fn answer_without_a_part_decides_by_the_length() {
    let of = |range, length| {
        let state = State { length, ..state() };
        answered(416, &[("content-range", range)], &state)
    };
    assert_eq!(of("bytes */4", None), "complete");
    assert_eq!(of("bytes */4", Some(4)), "complete");
    assert_eq!(of("", Some(4)), "complete");
    assert_eq!(of("bytes */3", None), "changed");
    assert_eq!(of("bytes */4", Some(10)), "changed");
    assert_eq!(of("", None), "changed");
    let other = [("content-range", "bytes */10"), ("etag", "\"b\"")];
    assert_eq!(answered(416, &other, &state()), "changed");
    assert_eq!(answered(200, &[], &state()), "whole");
    for status in [201, 204, 304, 404, 412, 500] {
        assert_eq!(answered(status, &[], &state()), "failed", "{status}");
    }
}

#[test]
fn only_strong_validators_are_sent() {
    let validator = |fields: &[(&'static str, &'static str)]| {
        let fields = fields.iter().map(|(name, value)| {
            (
                HeaderName::from_static(name),
                http::HeaderValue::from_static(value),
            )
        });
        strong_validator(&fields.collect())
    };
    let modified = ("last-modified", "Thu, 26 Nov 2026 12:00:00 GMT");
    let same = ("date", "Thu, 26 Nov 2026 12:00:00 GMT");
    let later = ("date", "Thu, 26 Nov 2026 12:00:01 GMT");
    assert_eq!(
        validator(&[("etag", "\"a\""), modified]).as_deref(),
        Some("\"a\"")
    );
    assert_eq!(validator(&[("etag", "W/\"a\""), modified, later]), None);
    assert_eq!(validator(&[modified, later]).as_deref(), Some(modified.1));
    assert_eq!(validator(&[modified, same]), None);
    assert_eq!(validator(&[modified]), None);
    assert_eq!(validator(&[]), None);
}
