//! Held polls: of clients that ask to wait, and of clients that cannot wait.

use std::time::Duration;

use crate::support::{Answer, Body, eager, get, post, request, send, settle, slow, wrap};
use http::{HeaderValue, Method, Request, StatusCode};
use tokio::time::{Instant, sleep};
use tower_async_job::{AsyncJobLayer, Builder, ObservedJob, PendingStatus, store::Principal};

const SECOND: Duration = Duration::from_secs(1);

fn waiting(uri: &str, seconds: &'static str) -> Request<Body> {
    let mut request = get(uri);
    request
        .headers_mut()
        .insert("prefer", HeaderValue::from_static(seconds));
    request
}

/// Returns the Location without hints, as of a client that noted the job's URL.
fn job(answer: &Answer) -> String {
    let (job, _) = answer.location().split_once('?').expect("hints");
    job.to_owned()
}

fn announcing(delay: Duration) -> Builder {
    AsyncJobLayer::builder().estimator(move |_: &ObservedJob<'_>| delay)
}

#[tokio::test(start_paused = true)]
async fn poll_that_asks_to_wait_is_answered_when_the_job_ends() {
    let service = wrap(&eager(AsyncJobLayer::builder()), slow(7 * SECOND, "done"));
    let accepted = send(&service, post("/report")).await.pending();
    let begun = Instant::now();
    let answer = send(&service, waiting(&job(&accepted), "wait=20")).await;
    assert_eq!(begun.elapsed(), 7 * SECOND);
    assert_eq!(answer.body, "done");
    assert_eq!(answer.header("preference-applied"), "wait=20");
}

#[tokio::test(start_paused = true)]
async fn poll_that_asks_to_wait_is_pending_when_its_time_is_up() {
    let service = wrap(&eager(AsyncJobLayer::builder()), slow(60 * SECOND, "late"));
    let accepted = send(&service, post("/report")).await.pending();
    let begun = Instant::now();
    let answer = send(&service, waiting(&job(&accepted), "wait=3"))
        .await
        .pending();
    assert_eq!(begun.elapsed(), 3 * SECOND);
    assert_eq!(answer.header("preference-applied"), "wait=3");
}

#[tokio::test(start_paused = true)]
async fn s28_wait_of_an_hour_returns_at_the_cap() {
    let service = wrap(&eager(AsyncJobLayer::builder()), slow(600 * SECOND, "late"));
    let accepted = send(&service, post("/report")).await.pending();
    let begun = Instant::now();
    let answer = send(&service, waiting(&job(&accepted), "wait=3600"))
        .await
        .pending();
    assert_eq!(begun.elapsed(), 25 * SECOND);
    assert_eq!(answer.header("preference-applied"), "wait=25");
}

#[tokio::test(start_paused = true)]
async fn wait_of_zero_and_head_are_answered_at_once() {
    let service = wrap(&eager(AsyncJobLayer::builder()), slow(60 * SECOND, "late"));
    let accepted = send(&service, post("/report")).await.pending();
    let begun = Instant::now();
    send(&service, waiting(&job(&accepted), "wait=0"))
        .await
        .pending();
    let mut head = request(Method::HEAD, &job(&accepted));
    head.headers_mut()
        .insert("prefer", HeaderValue::from_static("wait=9"));
    send(&service, head).await.pending();
    assert_eq!(begun.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn waiting_poll_sees_a_cancellation() {
    let service = wrap(&eager(AsyncJobLayer::builder()), slow(60 * SECOND, "late"));
    let accepted = send(&service, post("/report")).await.pending();
    let url = job(&accepted);
    let poll = tokio::spawn({
        let service = service.clone();
        let poll = waiting(&url, "wait=20");
        async move { send(&service, poll).await }
    });
    settle().await;
    send(&service, request(Method::DELETE, &url)).await;
    let answer = poll.await.expect("answered");
    assert_eq!(answer.header("job-status"), "cancelled");
}

#[tokio::test(start_paused = true)]
async fn early_poll_is_held_until_it_is_due() {
    let service = wrap(&eager(announcing(4 * SECOND)), slow(60 * SECOND, "late"));
    let accepted = send(&service, post("/report")).await.pending();
    let begun = Instant::now();
    let answer = send(&service, get(accepted.location())).await.pending();
    assert_eq!(begun.elapsed(), 4 * SECOND);
    assert_eq!(answer.header("preference-applied"), "");
    assert!(
        answer.location().contains("poll=2&due=8"),
        "{}",
        answer.location()
    );
}

#[tokio::test(start_paused = true)]
async fn early_poll_is_answered_when_the_job_ends() {
    let service = wrap(&eager(announcing(20 * SECOND)), slow(3 * SECOND, "done"));
    let accepted = send(&service, post("/report")).await.pending();
    let begun = Instant::now();
    let answer = send(&service, get(accepted.location())).await;
    assert_eq!(begun.elapsed(), 3 * SECOND);
    assert_eq!(answer.body, "done");
}

#[tokio::test(start_paused = true)]
async fn later_hops_of_a_client_that_does_not_wait_are_held_for_as_long_as_may_be() {
    let service = wrap(&eager(announcing(SECOND)), slow(180 * SECOND, "done"));
    let begun = Instant::now();
    let mut answer = send(&service, post("/report")).await;
    let mut redirects = 0;
    while answer.header("job-status") == "running" {
        redirects += 1;
        answer = send(&service, get(answer.location())).await;
    }
    assert_eq!(answer.body, "done");
    assert_eq!(begun.elapsed(), 180 * SECOND);
    assert!(redirects <= 10, "{redirects}");
}

#[tokio::test(start_paused = true)]
async fn poll_that_is_due_is_not_held() {
    let service = wrap(&eager(announcing(4 * SECOND)), slow(60 * SECOND, "late"));
    let accepted = send(&service, post("/report")).await.pending();
    sleep(4 * SECOND).await;
    let begun = Instant::now();
    send(&service, get(accepted.location())).await.pending();
    assert_eq!(begun.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn early_poll_is_not_held_in_202_mode() {
    let layer = eager(announcing(4 * SECOND).pending_status(PendingStatus::Accepted));
    let service = wrap(&layer, slow(60 * SECOND, "late"));
    let accepted = send(&service, post("/report")).await.pending();
    let begun = Instant::now();
    send(&service, get(accepted.location())).await.pending();
    assert_eq!(begun.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn s62_forged_hints_gain_at_most_one_hold() {
    let service = wrap(&eager(announcing(4 * SECOND)), slow(600 * SECOND, "late"));
    let accepted = send(&service, post("/report")).await.pending();
    for hints in [
        "poll=0&due=18446744073709551615",
        "poll=4294967295&due=99999999",
        "due=-1",
        "poll=x&due=y",
    ] {
        let begun = Instant::now();
        send(&service, get(&format!("{}?{hints}", job(&accepted))))
            .await
            .pending();
        assert!(begun.elapsed() <= 25 * SECOND, "{hints}");
    }
}

#[tokio::test(start_paused = true)]
async fn beyond_the_limit_of_held_polls_an_early_one_gets_429_and_an_asking_one_its_answer() {
    let service = wrap(
        &eager(announcing(4 * SECOND).hold_limits(1, 1)),
        slow(60 * SECOND, "late"),
    );
    let accepted = send(&service, post("/report")).await.pending();
    let held = tokio::spawn({
        let service = service.clone();
        let poll = get(accepted.location());
        async move { send(&service, poll).await }
    });
    settle().await;
    let begun = Instant::now();
    let refused = send(&service, get(accepted.location())).await;
    assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(refused.header("retry-after"), "4");
    assert_eq!(refused.header("job-status"), "running");
    let asking = send(&service, waiting(&job(&accepted), "wait=9"))
        .await
        .pending();
    assert_eq!(asking.header("preference-applied"), "");
    assert_eq!(begun.elapsed(), Duration::ZERO);
    held.abort();
    assert!(held.await.is_err());
    let begun = Instant::now();
    send(&service, waiting(&job(&accepted), "wait=2"))
        .await
        .pending();
    assert_eq!(
        begun.elapsed(),
        2 * SECOND,
        "the place of a poll that went away is free"
    );
}

#[tokio::test(start_paused = true)]
async fn each_principal_has_its_own_limit_of_held_polls() {
    let layer = eager(
        announcing(4 * SECOND)
            .hold_limits(10, 1)
            .principal(|request| {
                let user = request.headers.get("x-user")?.to_str().ok()?;
                Some(Principal::new(user))
            }),
    );
    let service = wrap(&layer, slow(60 * SECOND, "late"));
    let of = |user: &'static str, mut request: Request<Body>| {
        request
            .headers_mut()
            .insert("x-user", HeaderValue::from_static(user));
        request
    };
    let mine = send(&service, of("me", post("/report"))).await.pending();
    let yours = send(&service, of("you", post("/report"))).await.pending();
    let _held = tokio::spawn({
        let service = service.clone();
        let poll = of("me", get(mine.location()));
        async move { send(&service, poll).await }
    });
    settle().await;
    let refused = send(&service, of("me", get(mine.location()))).await;
    assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
    let begun = Instant::now();
    send(&service, of("you", get(yours.location())))
        .await
        .pending();
    assert_eq!(begun.elapsed(), 4 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn s27_ten_thousand_waiters_on_one_job_are_all_answered() {
    let service = wrap(&eager(AsyncJobLayer::builder()), slow(5 * SECOND, "done"));
    let accepted = send(&service, post("/report")).await.pending();
    let url = job(&accepted);
    let mut polls = tokio::task::JoinSet::new();
    for _ in 0..10_000 {
        let (service, poll) = (service.clone(), waiting(&url, "wait=20"));
        polls.spawn(async move { send(&service, poll).await });
    }
    let begun = Instant::now();
    for answer in polls.join_all().await {
        assert_eq!(answer.body, "done");
    }
    assert!(begun.elapsed() <= 5 * SECOND);
}
