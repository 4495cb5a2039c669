//! Waits that the server is asked for (RFC 7240, section 4.3).

use std::time::Duration;

use http_polling::Prefer;
use tokio::time::sleep;
use tower::{Layer, ServiceExt, service_fn};
use tower_poll::PollLayer;

use crate::common::{Answer, Script, answer, exact, exact_layer, post, see_other, send};

const URL: &str = "http://server.test/report";

fn seconds(seconds: u64) -> Option<Duration> {
    Some(Duration::from_secs(seconds))
}

#[tokio::test(start_paused = true)]
async fn submissions_ask_for_a_wait_and_polls_for_their_own() {
    let script = Script::new(|number, _| match number {
        0 => see_other("/work/1"),
        _ => answer(200, &[]),
    });
    let layer = exact_layer()
        .prefer_wait(Duration::from_secs(5))
        .long_poll(Duration::from_secs(25));
    send(layer, &script, post(URL)).await.unwrap();
    let asked: Vec<_> = script
        .seen()
        .iter()
        .map(|seen| Prefer::from_headers(&seen.headers).wait())
        .collect();
    assert_eq!(asked, [seconds(5), seconds(25)]);
}

#[tokio::test(start_paused = true)]
async fn caller_s_own_wait_stays() {
    let script = Script::new(|_, _| answer(200, &[]));
    let mut request = post(URL);
    let own = http::HeaderValue::from_static("wait=7, respond-async");
    request.headers_mut().insert("prefer", own);
    let layer = exact_layer()
        .prefer_wait(Duration::from_secs(5))
        .prefer_async(|_| true);
    send(layer, &script, request).await.unwrap();
    let headers = &script.seen()[0].headers;
    assert_eq!(headers.get_all("prefer").iter().count(), 1);
    assert_eq!(Prefer::from_headers(headers).wait(), seconds(7));
}

#[tokio::test(start_paused = true)]
async fn no_wait_goes_past_the_deadline() {
    let script = Script::new(|number, _| match number {
        0 => see_other("/work/1"),
        _ => answer(200, &[]),
    });
    let layer = exact_layer()
        .deadline(Duration::from_secs(11))
        .long_poll(Duration::from_secs(25));
    send(layer, &script, post(URL)).await.unwrap();
    let headers = &script.seen()[1].headers;
    assert_eq!(Prefer::from_headers(headers).wait(), seconds(10));
}

#[tokio::test(start_paused = true)]
async fn poll_that_was_held_is_followed_by_the_next() {
    let script = Script::new(|number, _| match number {
        0 => see_other("/work/1"),
        1 => answer(
            303,
            &[
                ("location", "/work/1"),
                ("retry-after", "30"),
                ("preference-applied", "wait=25"),
            ],
        ),
        _ => answer(200, &[]),
    });
    let layer = exact_layer().long_poll(Duration::from_secs(25));
    send(layer, &script, post(URL)).await.unwrap();
    let seen = script.seen();
    assert_eq!(seen[2].at - seen[1].at, Duration::from_millis(100));
}

/// Answers the submission at once, and each poll after `held` with what
/// `cut` gives, six times.
async fn cut(held: Duration, cut: fn() -> Answer) -> (Result<u16, tower_poll::Error>, usize) {
    let script = Script::new(move |number, _| match number {
        0 => see_other("/work/1"),
        1..=6 => cut(),
        _ => answer(200, &[]),
    });
    let inner = script.clone();
    let slow = service_fn(move |request: http::Request<_>| {
        let (inner, is_poll) = (inner.clone(), request.method() == http::Method::GET);
        async move {
            if is_poll {
                sleep(held).await;
            }
            inner.oneshot(request).await
        }
    });
    let layer = PollLayer::with_policy(exact())
        .poll_retries(2)
        .long_poll(Duration::from_secs(25));
    let result = layer.layer(slow).oneshot(post(URL)).await;
    (
        result.map(|response| response.status().as_u16()),
        script.count(),
    )
}

#[tokio::test(start_paused = true)]
async fn long_poll_that_a_proxy_cuts_is_a_normal_poll() {
    for answer in [(|| Err("closed".into())) as fn() -> Answer, || {
        answer(504, &[])
    }] {
        let (result, count) = cut(Duration::from_secs(10), answer).await;
        assert_eq!((result.unwrap(), count), (200, 8));
    }
}

#[tokio::test(start_paused = true)]
async fn held_poll_that_the_server_itself_fails_is_a_failed_poll() {
    for answer in [(|| answer(500, &[])) as fn() -> Answer, || answer(429, &[])] {
        let (result, count) = cut(Duration::from_secs(10), answer).await;
        assert!(result.unwrap() >= 429);
        assert_eq!(count, 1 + 1 + 2);
    }
}

#[tokio::test(start_paused = true)]
async fn long_poll_that_fails_at_once_is_a_failed_poll() {
    let (result, count) = cut(Duration::from_millis(10), || Err("refused".into())).await;
    assert!(result.unwrap_err().is_inner());
    assert_eq!(count, 1 + 1 + 2);
}
