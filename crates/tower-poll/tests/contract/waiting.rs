//! Waits that the server is asked for (RFC 7240, section 4.3).

use std::time::Duration;

use http_polling::Prefer;
use tower_poll_testkit::{Answer, Script, ScriptedServer};

use crate::common::{exact_layer, post, send};

const URL: &str = "http://server.test/report";
const SECOND: Duration = Duration::from_secs(1);

/// Pending for a second, then done.
fn pending_once() -> ScriptedServer {
    Script::new()
        .pending("/work/1", SECOND)
        .response(200, "")
        .server()
}

/// The wait that each request asks for.
fn waits(server: &ScriptedServer) -> Vec<Option<Duration>> {
    let requests = server.requests();
    let headers = requests.iter().map(|request| &request.headers);
    headers
        .map(|headers| Prefer::from_headers(headers).wait())
        .collect()
}

#[tokio::test(start_paused = true)]
async fn submissions_ask_for_a_wait_and_polls_for_their_own() {
    let server = pending_once();
    let layer = exact_layer().prefer_wait(5 * SECOND).long_poll(25 * SECOND);
    send(layer, &server, post(URL)).await.unwrap();
    assert_eq!(waits(&server), [Some(5 * SECOND), Some(25 * SECOND)]);
}

#[tokio::test(start_paused = true)]
async fn caller_s_own_wait_stays() {
    let server = Script::new().response(200, "").server();
    let mut request = post(URL);
    let own = http::HeaderValue::from_static("wait=7, respond-async");
    request.headers_mut().insert("prefer", own);
    let layer = exact_layer().prefer_wait(5 * SECOND).prefer_async(|_| true);
    send(layer, &server, request).await.unwrap();
    let headers = &server.requests()[0].headers;
    assert_eq!(headers.get_all("prefer").iter().count(), 1);
    assert_eq!(waits(&server), [Some(7 * SECOND)]);
}

#[tokio::test(start_paused = true)]
async fn no_wait_goes_past_the_deadline() {
    let server = pending_once();
    let layer = exact_layer().deadline(11 * SECOND).long_poll(25 * SECOND);
    send(layer, &server, post(URL)).await.unwrap();
    assert_eq!(waits(&server), [None, Some(10 * SECOND)]);
}

#[tokio::test(start_paused = true)]
async fn poll_that_was_held_is_followed_by_the_next() {
    let held = Answer::see_other("/work/1")
        .retry_after(30 * SECOND)
        .header("preference-applied", "wait=25");
    let server = Script::new()
        .pending("/work/1", SECOND)
        .answer(held)
        .response(200, "")
        .server();
    let layer = exact_layer().long_poll(25 * SECOND);
    send(layer, &server, post(URL)).await.unwrap();
    server.assert_delays([SECOND, Duration::from_millis(100)]);
}

/// Answers the submission at once, and six polls with `answer`, after `held`.
async fn cut(held: Duration, answer: Answer) -> (Result<u16, tower_poll::Error>, usize) {
    let pending = Script::new().pending("/work/1", SECOND);
    let cut = (0..6).fold(pending, |script, _| {
        script.answer(answer.clone().after(held))
    });
    let server = cut.answer(Answer::new(200).after(held)).server();
    let layer = exact_layer().poll_retries(2).long_poll(25 * SECOND);
    let result = send(layer, &server, post(URL)).await;
    (
        result.map(|response| response.status().as_u16()),
        server.requests().len(),
    )
}

#[tokio::test(start_paused = true)]
async fn long_poll_that_a_proxy_cuts_is_a_normal_poll() {
    for answer in [Answer::failure("closed"), Answer::new(504)] {
        let (result, count) = cut(10 * SECOND, answer).await;
        assert_eq!((result.unwrap(), count), (200, 8));
    }
}

#[tokio::test(start_paused = true)]
async fn held_poll_that_the_server_itself_fails_is_a_failed_poll() {
    for answer in [Answer::new(500), Answer::new(429)] {
        let (result, count) = cut(10 * SECOND, answer).await;
        assert!(result.unwrap() >= 429);
        assert_eq!(count, 1 + 1 + 2);
    }
}

#[tokio::test(start_paused = true)]
async fn long_poll_that_fails_at_once_is_a_failed_poll() {
    let (result, count) = cut(Duration::from_millis(10), Answer::failure("refused")).await;
    assert!(result.unwrap_err().is_inner());
    assert_eq!(count, 1 + 1 + 2);
}
