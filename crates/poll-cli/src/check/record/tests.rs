use http::HeaderValue;

use super::*;

fn answer(status: u16, fields: &[(&'static str, &'static str)]) -> Answer {
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        headers.append(*name, HeaderValue::from_static(value));
    }
    Answer {
        status: StatusCode::from_u16(status).unwrap(),
        headers,
        body: Bytes::new(),
        whole: true,
    }
}

fn curl(method: Method, fields: &[(&'static str, &'static str)], body: &'static str) -> String {
    let sent = Sent {
        method,
        uri: Uri::from_static("http://a.example/report?name='x'"),
        headers: answer(200, fields).headers,
        body: Bytes::from_static(body.as_bytes()),
    };
    let exchange = Exchange {
        step: Step::Submitted,
        sent,
        answer: answer(200, &[]),
        began: Instant::now(),
        took: Duration::ZERO,
    };
    exchange.curl()
}

#[tokio::test]
async fn commands_are_quoted_and_show_no_secrets() {
    let usual = [("accept", "*/*"), ("user-agent", "poll/1")];
    let url = r"'http://a.example/report?name='\''x'\'''";
    assert_eq!(curl(Method::GET, &usual, ""), format!("curl -i {url}"));
    assert_eq!(curl(Method::HEAD, &usual, ""), format!("curl -I {url}"));
    let secret = [("authorization", "Bearer hush"), ("x-tenant", "7")];
    let expected = "curl -i -X POST -H 'authorization: [redacted]' -H 'x-tenant: 7' \
                    --data-binary 'it'\\''s'";
    assert_eq!(
        curl(Method::POST, &secret, "it's"),
        format!("{expected} {url}")
    );
    for body in ["@file", "\u{fffd}".repeat(100).leak()] {
        let expected = format!("curl -i -X PUT --data-binary '@BODY' {url}");
        assert_eq!(curl(Method::PUT, &[], body), expected);
    }
}

#[test]
fn deferrals_are_recognised_without_a_state() {
    let location = ("location", "/work/1");
    for (status, fields, expected) in [
        (200, vec![("job-status", "running")], true),
        (202, vec![("job-status", "done"), location], false),
        (202, vec![location], true),
        (202, vec![], false),
        (303, vec![location, ("retry-after", "1")], true),
        (303, vec![location, ("retry-after-ms", "1")], true),
        (303, vec![location], false),
        (201, vec![location, ("retry-after", "1")], false),
    ] {
        assert_eq!(
            answer(status, &fields).is_pending(),
            expected,
            "{status} {fields:?}"
        );
    }
}

#[test]
fn members_of_lists_are_found_in_every_field_and_any_case() {
    let varies = answer(200, &[("vary", "Accept,prefer"), ("vary", "Origin")]);
    assert!(varies.lists("vary", "accept") && varies.lists("vary", "origin"));
    assert!(!varies.lists("vary", "acc"));
}
