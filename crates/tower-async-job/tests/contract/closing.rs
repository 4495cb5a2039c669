//! Connections that the layer closes because their clients need none until their next poll.

use std::{convert::Infallible, time::Duration};

use crate::support::{
    self, Answer, Body, Handler, SECOND, eager, get, handler, path_of, post, request, send, slow,
    with, wrap,
};
use http::{Method, Request, Response, StatusCode, Version};
use hyper::{body::Incoming, server::conn::http1};
use hyper_util::{rt::TokioIo, service::TowerToHyperService};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::{Instant, sleep, timeout},
};
use tower::{Layer, service_fn};
use tower_async_job::{
    AsyncJob, AsyncJobLayer, Builder, Estimator, HalfElapsed, JobBody, JobContext, Learned,
    ObservedJob, PendingStatus,
};

const HOUR: Duration = Duration::from_secs(3600);

/// Returns an estimator that has seen jobs of these durations.
fn taught(durations: &[Duration]) -> Learned {
    let estimator = Learned::new();
    for duration in durations.iter().cycle().take(40) {
        estimator.completed("POST /report", *duration);
    }
    estimator
}

fn expecting(duration: Duration) -> Builder {
    AsyncJobLayer::builder().estimator(taught(&[duration]))
}

/// Returns a service whose jobs take an hour.
fn endless(builder: Builder) -> AsyncJob<Handler> {
    wrap(&eager(builder), slow(HOUR, "late"))
}

/// Returns whether a pending answer closes its connection.
#[track_caller]
fn closes(answer: Answer) -> bool {
    match answer.pending().header("connection") {
        "close" => true,
        "" => false,
        other => panic!("connection: {other}"),
    }
}

async fn acceptance_closes(builder: Builder, submission: Request<Body>) -> bool {
    closes(send(&endless(builder), submission).await)
}

/// Returns the Location without hints.
fn job(accepted: &Answer) -> String {
    support::path_of(accepted.location()).to_owned()
}

#[tokio::test(start_paused = true)]
async fn acceptance_closes_where_the_job_is_known_to_take_long() {
    for status in [PendingStatus::SeeOther, PendingStatus::Accepted] {
        let builder = expecting(30 * SECOND).pending_status(status);
        assert!(acceptance_closes(builder, post("/report")).await);
        let builder = expecting(14 * SECOND).pending_status(status);
        assert!(!acceptance_closes(builder, post("/report")).await);
    }
}

#[tokio::test(start_paused = true)]
async fn poll_closes_where_the_next_is_known_to_be_far_off() {
    for status in [PendingStatus::SeeOther, PendingStatus::Accepted] {
        let estimator = taught(&[3 * SECOND, 60 * SECOND]);
        let builder = AsyncJobLayer::builder().estimator(estimator);
        let service = endless(builder.pending_status(status));
        let accepted = send(&service, post("/report")).await;
        let location = accepted.location().to_owned();
        assert!(!closes(accepted), "the first poll is near");
        sleep(4 * SECOND).await;
        let head = send(&service, request(Method::HEAD, &location)).await;
        assert!(closes(head));
        assert!(closes(send(&service, get(&location)).await));
        sleep(55 * SECOND).await;
        let near = send(&service, get(support::path_of(&location))).await;
        assert!(!closes(near), "the end is near");
    }
}

#[tokio::test(start_paused = true)]
async fn submission_with_a_key_closes_as_others_do() {
    let keyed = || with(post("/report"), "idempotency-key", "one");
    let service = endless(expecting(30 * SECOND));
    assert!(closes(send(&service, keyed()).await));
    assert!(closes(send(&service, keyed()).await), "a repeat");
    let via = with(keyed(), "via", "1.1 proxy");
    assert!(!closes(send(&service, via).await));
}

#[tokio::test(start_paused = true)]
async fn delay_from_which_connections_close_can_be_set() {
    let builder = expecting(10 * SECOND).close_connections_from(5 * SECOND);
    assert!(acceptance_closes(builder, post("/report")).await);
    let builder = expecting(30 * SECOND).close_connections_from(60 * SECOND);
    assert!(!acceptance_closes(builder, post("/report")).await);
    let builder = expecting(30 * SECOND).close_connections_from(None);
    assert!(!acceptance_closes(builder, post("/report")).await);
}

#[tokio::test(start_paused = true)]
async fn guess_does_not_close() {
    let service = endless(AsyncJobLayer::builder());
    let accepted = send(&service, post("/report")).await.pending();
    let url = job(&accepted);
    assert!(!closes(accepted));
    sleep(100 * SECOND).await;
    let answer = send(&service, get(&url)).await;
    assert_eq!(answer.header("retry-after"), "51");
    assert!(!closes(answer), "nothing is known of the route");

    let service = endless(expecting(2 * SECOND));
    let url = job(&send(&service, post("/report")).await.pending());
    sleep(100 * SECOND).await;
    let answer = send(&service, get(&url)).await;
    assert_eq!(answer.header("retry-after"), "50");
    assert!(!closes(answer), "the job takes longer than all before it");

    let half = AsyncJobLayer::builder().estimator(HalfElapsed::default());
    let service = endless(half);
    let url = job(&send(&service, post("/report")).await.pending());
    sleep(100 * SECOND).await;
    assert!(!closes(send(&service, get(&url)).await));
}

#[tokio::test(start_paused = true)]
async fn reported_progress_closes() {
    let reporting = || {
        handler(async |request| {
            sleep(20 * SECOND).await;
            JobContext::of(&request).progress(0.25);
            sleep(HOUR).await;
            Response::default()
        })
    };
    let learned = AsyncJobLayer::builder();
    let half = AsyncJobLayer::builder().estimator(HalfElapsed::default());
    for builder in [learned, half] {
        let service = wrap(&eager(builder), reporting());
        let url = job(&send(&service, post("/report")).await.pending());
        sleep(21 * SECOND).await;
        let answer = send(&service, get(&url)).await;
        assert_eq!(answer.json()["progress"]["fraction"], 0.25);
        assert!(closes(answer));
    }
}

#[tokio::test(start_paused = true)]
async fn estimator_of_the_application_is_taken_at_its_word() {
    let builder = AsyncJobLayer::builder().estimator(|_: &ObservedJob<'_>| 20 * SECOND);
    assert!(acceptance_closes(builder, post("/report")).await);

    struct Guessing;
    impl Estimator for Guessing {
        fn retry_after(&self, _: &ObservedJob<'_>) -> Duration {
            20 * SECOND
        }

        fn is_guess(&self, pending: &ObservedJob<'_>) -> bool {
            pending.polls == 0
        }
    }
    let service = endless(AsyncJobLayer::builder().estimator(Guessing));
    let accepted = send(&service, post("/report")).await;
    let location = accepted.location().to_owned();
    assert!(!closes(accepted));
    sleep(20 * SECOND).await;
    assert!(closes(send(&service, get(&location)).await));
}

#[tokio::test(start_paused = true)]
async fn versions_other_than_http_1_1_are_never_closed() {
    for version in [Version::HTTP_10, Version::HTTP_2, Version::HTTP_3] {
        let of_version = |mut request: Request<Body>| {
            *request.version_mut() = version;
            request
        };
        let service = endless(expecting(30 * SECOND));
        let accepted = send(&service, of_version(post("/report"))).await;
        let url = job(&accepted);
        assert!(!closes(accepted));
        assert!(!closes(send(&service, of_version(get(&url))).await));
    }
}

#[tokio::test(start_paused = true)]
async fn connections_of_proxies_are_never_closed() {
    for (name, value) in [
        ("via", "1.1 proxy"),
        ("forwarded", "for=192.0.2.1"),
        ("x-forwarded-for", "192.0.2.1"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-port", "443"),
    ] {
        let service = endless(expecting(30 * SECOND));
        let accepted = send(&service, with(post("/report"), name, value)).await;
        let url = job(&accepted);
        assert!(!closes(accepted), "{name}");
        let answer = send(&service, with(get(&url), name, value)).await;
        assert!(!closes(answer), "{name}");
    }
    let other = with(post("/report"), "x-forward", "no proxy writes this");
    assert!(acceptance_closes(expecting(30 * SECOND), other).await);
}

#[tokio::test(start_paused = true)]
async fn connections_of_clients_that_do_not_wait_are_never_closed() {
    let service = endless(expecting(60 * SECOND));
    let accepted = send(&service, post("/report")).await.pending();
    let held = send(&service, get(accepted.location())).await;
    assert_eq!(held.header("retry-after"), "36", "held for 25 s");
    assert!(!closes(held));

    for builder in [
        expecting(60 * SECOND).pending_status(PendingStatus::Accepted),
        expecting(60 * SECOND).max_hold(Duration::ZERO),
    ] {
        let service = endless(builder);
        let accepted = send(&service, post("/report")).await.pending();
        sleep(SECOND).await;
        let early = send(&service, get(accepted.location())).await;
        assert!(!closes(early), "answered at once");
    }
}

#[tokio::test(start_paused = true)]
async fn connections_of_clients_that_ask_to_be_held_are_never_closed() {
    let service = endless(expecting(60 * SECOND));
    let accepted = send(&service, post("/report")).await.pending();
    let held = send(&service, with(get(&job(&accepted)), "prefer", "wait=20")).await;
    assert_eq!(held.header("preference-applied"), "wait=20");
    assert!(!closes(held));
}

#[tokio::test(start_paused = true)]
async fn connections_of_browsers_that_see_the_page_are_never_closed() {
    let browsing = |request| {
        let request = with(request, "accept", "text/html");
        with(request, "upgrade-insecure-requests", "1")
    };
    for status in [PendingStatus::SeeOther, PendingStatus::Accepted] {
        let service = endless(expecting(60 * SECOND).pending_status(status));
        let accepted = send(&service, post("/report")).await.pending();
        let page = send(&service, browsing(get(&job(&accepted)))).await;
        assert_eq!(page.status, StatusCode::OK);
        assert!(!closes(page));
    }
    let service = endless(expecting(60 * SECOND).pending_status(PendingStatus::Accepted));
    let led_to_it = send(&service, browsing(post("/report"))).await;
    assert_eq!(led_to_it.status, StatusCode::SEE_OTHER);
    assert!(!closes(led_to_it));
}

#[tokio::test(start_paused = true)]
async fn what_is_not_pending_never_closes() {
    let service = wrap(
        &eager(expecting(30 * SECOND)),
        slow(20 * SECOND, "the result"),
    );
    let accepted = send(&service, post("/report")).await.pending();
    let status = format!("{}/status", job(&accepted));
    assert_eq!(send(&service, get(&status)).await.header("connection"), "");
    sleep(30 * SECOND).await;
    let done = send(&service, get(accepted.location())).await;
    assert_eq!(done.body, "the result");
    assert_eq!(done.header("connection"), "");
}

/// Sends a submission over a new connection to hyper's server. Returns everything until the server
/// closes it, or `None` if it is still open when the job is due.
async fn all_until_closed(builder: Builder) -> Option<String> {
    let (mut client, server) = tokio::io::duplex(64 << 10);
    let inner = service_fn(|_: Request<JobBody<Incoming>>| async {
        sleep(HOUR).await;
        Ok::<_, Infallible>(Response::<Body>::default())
    });
    let service = TowerToHyperService::new(eager(builder).layer(inner));
    tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(server), service));
    let submission = "POST /report HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n";
    let written = client.write_all(submission.as_bytes()).await;
    written.expect("the server reads");
    let mut received = String::new();
    let closed = timeout(30 * SECOND, client.read_to_string(&mut received)).await;
    closed.ok().map(|read| {
        read.expect("text");
        received
    })
}

#[tokio::test(start_paused = true)]
async fn server_closes_the_connection_once_the_answer_is_whole() {
    let begun = Instant::now();
    let received = all_until_closed(expecting(30 * SECOND)).await;
    let received = received.expect("closed");
    assert_eq!(begun.elapsed(), Duration::ZERO);
    let (head, body) = received.split_once("\r\n\r\n").expect("an answer");
    assert!(head.starts_with("HTTP/1.1 303 "), "{head}");
    assert_eq!(head.matches("connection: close").count(), 1, "{head}");
    assert!(body.ends_with('}'), "{body}");
    assert_eq!(all_until_closed(expecting(SECOND)).await, None);
}

#[tokio::test(start_paused = true)]
async fn client_that_asks_to_be_held_is_not_closed_without_a_place() {
    let estimator = Learned::new();
    for _ in 0..40 {
        estimator.completed("POST /report", 60 * SECOND);
    }
    let builder = AsyncJobLayer::builder().estimator(estimator);
    let layer = eager(builder.hold_limits(0, 0));
    let service = wrap(&layer, slow(3600 * SECOND, "late"));
    let accepted = send(&service, post("/report")).await.pending();
    let poll = with(get(path_of(accepted.location())), "prefer", "wait=20");
    let answer = send(&service, poll).await.pending();
    assert_eq!(answer.header("connection"), "");
}
