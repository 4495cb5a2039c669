//! Locations that cannot be, and answers that are not pending.

use http::{HeaderValue, Method, Response};
use http_polling::LocationError;
use tower_poll::PollLayer;
use tower_poll::policy::ServerDelay;

use crate::common::{Answer, Script, TestBody, answer, exact_layer, post, see_other, send, text};

const URL: &str = "https://example.com/report";

fn raw_location(location: &[u8]) -> Answer {
    let mut response = Response::new(TestBody::default());
    *response.status_mut() = http::StatusCode::SEE_OTHER;
    let headers = response.headers_mut();
    headers.insert("location", HeaderValue::from_bytes(location)?);
    headers.insert("retry-after", HeaderValue::from_static("1"));
    Ok(response)
}

#[tokio::test(start_paused = true)]
async fn c06_unusable_location_is_an_error_without_a_request() {
    let long = format!("/{}", "x".repeat(64 * 1024));
    for location in [
        "file:///etc/passwd",
        "ftp://example.com/",
        "javascript:alert(1)",
        "https://me:secret@example.com/",
        "https://example.com%2Fevil/",
        "https:///work",
        "https://[::1/",
        "/work\t1",
        long.as_str(),
    ] {
        let text = location.to_owned();
        // No policy that might refuse in place of the layer.
        let layer = PollLayer::with_policy(ServerDelay::new());
        let script = Script::new(move |_, _| raw_location(text.as_bytes()));
        let error = send(layer, &script, post(URL)).await.unwrap_err();
        let shown = &location[..location.len().min(40)];
        assert!(error.is_bad_location(), "{shown}: {error:?}");
        assert_eq!(script.count(), 1, "{shown}");
    }
}

#[tokio::test(start_paused = true)]
async fn c06_line_breaks_cannot_be_in_a_header_value() {
    assert!(HeaderValue::from_bytes(b"/work\r\nx-evil: 1").is_err());
    let script = Script::new(|_, _| raw_location(b"/work%0d%0ax-evil:1"));
    let layer = exact_layer().max_polls(1);
    let error = send(layer, &script, post(URL)).await.unwrap_err();
    assert!(error.is_too_many_polls());
    assert_eq!(script.uris()[1], "https://example.com/work%0d%0ax-evil:1");
    assert!(script.seen()[1].headers.is_empty());
}

#[tokio::test(start_paused = true)]
async fn c37_two_locations_that_differ_are_an_error_with_the_job() {
    let script = Script::new(|_, _| {
        answer(
            303,
            &[("location", "/a"), ("location", "/b"), ("retry-after", "1")],
        )
    });
    let error = send(exact_layer(), &script, post(URL)).await.unwrap_err();
    assert!(error.is_bad_location());
    let source = std::error::Error::source(&error).unwrap();
    assert_eq!(source.downcast_ref(), Some(&LocationError::Duplicate));
    assert_eq!(error.pending_job().unwrap().url().path(), "/a");
    assert_eq!(script.count(), 1);
}

#[tokio::test(start_paused = true)]
async fn c37_the_same_location_twice_is_followed() {
    let twice = [("location", "/a"), ("location", "/a"), ("retry-after", "1")];
    let script = Script::new(move |number, _| match number {
        0 => answer(303, &twice),
        1 => answer(202, &twice),
        _ => answer(200, &[]),
    });
    send(exact_layer(), &script, post(URL)).await.unwrap();
    assert_eq!(script.uris()[1..], ["https://example.com/a"; 2]);
}

#[tokio::test(start_paused = true)]
async fn c07_missing_location_is_an_error_where_it_is_needed() {
    let running = Script::new(|_, _| answer(200, &[("job-status", "running")]));
    let error = send(exact_layer(), &running, post(URL)).await.unwrap_err();
    assert!(error.is_bad_location());

    let polled = Script::new(|number, _| match number {
        0 => see_other("/work/1"),
        _ => answer(302, &[]),
    });
    let error = send(exact_layer(), &polled, post(URL)).await.unwrap_err();
    assert!(error.is_bad_location());
    let job = error.pending_job().unwrap();
    assert_eq!(job.url(), "https://example.com/work/1");
}

#[tokio::test(start_paused = true)]
async fn c07_missing_location_does_not_matter_where_it_is_not_needed() {
    let script = Script::new(|_, _| answer(303, &[("retry-after", "1")]));
    let response = send(exact_layer(), &script, post(URL)).await.unwrap();
    assert_eq!(response.status(), 303);

    let staying = Script::new(|number, _| match number {
        0 => see_other("/work/1"),
        1 => answer(202, &[]),
        _ => answer(200, &[]),
    });
    send(exact_layer(), &staying, post(URL)).await.unwrap();
    assert_eq!(staying.uris()[2], "https://example.com/work/1");
}

#[tokio::test(start_paused = true)]
async fn c07_location_goes_before_content_location() {
    let script = Script::new(|number, _| match number {
        0 => answer(202, &[("location", "/a"), ("content-location", "/b")]),
        1 => answer(202, &[("content-location", "/c")]),
        _ => answer(200, &[]),
    });
    send(exact_layer(), &script, post(URL)).await.unwrap();
    let uris = script.uris();
    assert_eq!(
        uris[1..],
        ["https://example.com/a", "https://example.com/c"]
    );
}

#[tokio::test(start_paused = true)]
async fn c09_what_is_not_pending_is_passed_up() {
    let location = ("location", "/work/1");
    let retry = ("retry-after", "1");
    for (status, headers) in [
        (300, vec![location, retry]),
        (304, vec![location, retry]),
        (307, vec![location, retry]),
        (308, vec![location, retry]),
        // Plain redirects are for another layer.
        (301, vec![location]),
        (302, vec![location]),
        (303, vec![location]),
        (200, vec![location, retry]),
        (202, vec![retry]),
        (429, vec![location, retry]),
        (503, vec![location, retry]),
    ] {
        let script = Script::new(move |_, _| answer(status, &headers));
        let response = send(exact_layer(), &script, post(URL)).await.unwrap();
        assert_eq!(response.status(), status);
        assert_eq!(script.count(), 1, "{status}");
    }
}

#[tokio::test(start_paused = true)]
async fn c09_redirects_are_polled_by_get_and_head_stays_head() {
    for (method, status, polled_by) in [
        (Method::POST, 301, Method::GET),
        (Method::POST, 302, Method::GET),
        (Method::PUT, 303, Method::GET),
        (Method::DELETE, 303, Method::GET),
        (Method::GET, 307, Method::GET),
        (Method::GET, 308, Method::GET),
        (Method::HEAD, 303, Method::HEAD),
        (Method::HEAD, 308, Method::HEAD),
    ] {
        let script = Script::new(move |number, _| match number {
            0 => answer(status, &[("location", "/work/1"), ("retry-after", "1")]),
            1 => see_other("/work/2"),
            _ => answer(200, &[]),
        });
        let mut request = post(URL);
        *request.method_mut() = method.clone();
        *request.version_mut() = http::Version::HTTP_2;
        send(exact_layer(), &script, request).await.unwrap();
        let seen = script.seen();
        assert_eq!(seen.len(), 3, "{method} {status}");
        for poll in &seen[1..] {
            assert_eq!(poll.method, polled_by, "{method} {status}");
            assert_eq!(poll.version, http::Version::HTTP_2);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn c24_busy_poll_url_is_asked_again_and_never_the_submission() {
    let script = Script::new(|number, _| match number {
        0 => see_other("/work/1"),
        1 => answer(429, &[("retry-after", "5")]),
        2 => answer(503, &[("retry-after", "5")]),
        _ => crate::common::answer_with(200, &[], "the result"),
    });
    let response = send(exact_layer(), &script, post(URL)).await.unwrap();
    assert_eq!(text(response).await, "the result");
    let seen = script.seen();
    assert_eq!(seen.len(), 4);
    for poll in &seen[1..] {
        assert_eq!(poll.method, Method::GET);
        assert_eq!(poll.uri, "https://example.com/work/1");
    }
    assert_eq!(seen[2].at - seen[1].at, std::time::Duration::from_secs(5));
}
