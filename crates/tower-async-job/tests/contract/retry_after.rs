//! Retry-After as clients see it: learned from earlier jobs of the layer.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use crate::support::{
    self, Answer, Body, SECOND, eager, get, handler, post, send, slow, with, wrap,
};
use axum::{Router, extract::MatchedPath, routing::post as on_post};
use http::{Request, Response};
use tokio::time::{Instant, sleep};
use tower::ServiceExt;
use tower_async_job::{
    AsyncJob, AsyncJobLayer, Estimator, JobContext, Learned, ObservedJob, store::Principal,
};

/// An estimator that records its inputs.
#[derive(Clone, Default)]
struct Witness {
    completed: Arc<Mutex<Vec<(String, Duration)>>>,
    jobs: Arc<Mutex<Vec<usize>>>,
}

impl Estimator for Witness {
    fn retry_after(&self, pending: &ObservedJob<'_>) -> Duration {
        self.jobs.lock().expect("whole").push(pending.jobs);
        SECOND
    }

    fn completed(&self, route: &str, duration: Duration) {
        let mut completed = self.completed.lock().expect("whole");
        completed.push((route.to_owned(), duration));
    }
}

impl Witness {
    fn told(&self) -> Vec<(String, Duration)> {
        self.completed.lock().expect("whole").clone()
    }
}

fn delay_of(answer: &Answer) -> Duration {
    Duration::from_millis(answer.header("retry-after-ms").parse().expect("digits"))
}

/// Polls at the announced times; returns the answer and the number of polls.
async fn poll_to_the_end(
    service: &AsyncJob<support::Handler>,
    mut answer: Answer,
) -> (Answer, u32) {
    let mut polls = 0;
    while answer.header("job-status") == "running" {
        sleep(delay_of(&answer)).await;
        answer = send(service, get(answer.location())).await;
        polls += 1;
    }
    (answer, polls)
}

#[tokio::test(start_paused = true)]
async fn first_poll_comes_when_jobs_of_the_route_use_to_end() {
    let service = wrap(&eager(AsyncJobLayer::builder()), slow(30 * SECOND, "done"));
    for _ in 0..8 {
        let answer = send(&service, post("/report")).await;
        assert_eq!(answer.header("retry-after"), "1");
        let (answer, polls) = poll_to_the_end(&service, answer).await;
        assert_eq!(answer.body, "done");
        assert!(polls > 5);
    }
    let begun = Instant::now();
    let answer = send(&service, post("/report")).await;
    assert_eq!(answer.header("retry-after"), "31");
    let (answer, polls) = poll_to_the_end(&service, answer).await;
    assert_eq!((&answer.body[..], polls), (&b"done"[..], 1));
    assert!(begun.elapsed() < 31 * SECOND);

    let other = send(&service, post("/other")).await;
    assert_eq!(other.header("retry-after"), "1");
}

#[tokio::test(start_paused = true)]
async fn only_jobs_that_are_done_are_learned_from() {
    let witness = Witness::default();
    let layer = AsyncJobLayer::builder()
        .estimator(witness.clone())
        .job_deadline(20 * SECOND)
        .cancellation_grace(Duration::ZERO)
        .build()
        .expect("valid");
    let service = wrap(
        &layer,
        handler(async |request| {
            let path = request.uri().path().to_owned();
            let (_, seconds) = path.rsplit_once('/').expect("two segments");
            let seconds: u32 = seconds.parse().expect("digits");
            sleep(seconds * SECOND).await;
            assert!(!path.starts_with("/panics"));
            let mut response = Response::new(Body::from("answer"));
            if path.starts_with("/error") {
                *response.status_mut() = http::StatusCode::INTERNAL_SERVER_ERROR;
            }
            response
        }),
    );
    send(&service, post("/inline/0")).await;
    send(&service, post("/done/5")).await.pending();
    send(&service, post("/error/6")).await.pending();
    send(&service, post("/panics/4")).await.pending();
    send(&service, post("/overdue/40")).await.pending();
    let cancelled = send(&service, post("/cancelled/9")).await.pending();
    let delete = support::request(http::Method::DELETE, cancelled.location());
    assert_eq!(send(&service, delete).await.status, 202);
    sleep(60 * SECOND).await;
    // Measured from the acceptance, which follows the inline wait.
    assert_eq!(
        witness.told(),
        [
            ("POST /done/5".to_owned(), 4 * SECOND),
            ("POST /error/6".to_owned(), 5 * SECOND),
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn keyed_requests_that_are_answered_inline_are_not_learned_from() {
    let witness = Witness::default();
    let layer = AsyncJobLayer::builder()
        .estimator(witness.clone())
        .build()
        .expect("valid");
    let quick = wrap(&layer, slow(SECOND / 2, "quick"));
    let keyed = |key| with(post("/report"), "idempotency-key", key);
    assert_eq!(send(&quick, keyed("\"one\"")).await.status, 200);
    assert_eq!(witness.told(), []);
    let late = wrap(&layer, slow(3 * SECOND, "late"));
    send(&late, keyed("\"two\"")).await.pending();
    sleep(10 * SECOND).await;
    assert_eq!(witness.told(), [("POST /report".to_owned(), 3 * SECOND)]);
}

#[tokio::test(start_paused = true)]
async fn time_in_the_queue_is_not_learned() {
    let witness = Witness::default();
    let builder = AsyncJobLayer::builder().limits(1, 10);
    let service = wrap(
        &eager(builder.estimator(witness.clone())),
        slow(8 * SECOND, "done"),
    );
    for _ in 0..3 {
        send(&service, post("/report")).await.pending();
    }
    sleep(60 * SECOND).await;
    let told: Vec<u64> = witness.told().iter().map(|told| told.1.as_secs()).collect();
    assert_eq!(told, [8, 8, 8]);
}

#[tokio::test(start_paused = true)]
async fn estimators_see_how_many_jobs_are_pending() {
    let witness = Witness::default();
    let builder = AsyncJobLayer::builder().estimator(witness.clone());
    let service = wrap(&eager(builder), slow(8 * SECOND, "done"));
    let first = send(&service, post("/report")).await;
    send(&service, post("/report")).await;
    send(&service, get(first.location())).await.pending();
    sleep(10 * SECOND).await;
    send(&service, post("/report")).await;
    assert_eq!(*witness.jobs.lock().expect("whole"), [1, 2, 2, 1]);
}

#[tokio::test(start_paused = true)]
async fn polls_of_many_jobs_are_spread_over_the_budget() {
    let estimator = Learned::new().polls_per_second(20);
    let builder = AsyncJobLayer::builder().estimator(estimator);
    let service = wrap(&eager(builder), slow(3_000 * SECOND, "done"));
    let mut due = [0; 200];
    for _ in 0..400 {
        let answer = send(&service, post("/report")).await;
        due[delay_of(&answer).as_secs() as usize] += 1;
    }
    let most = due.iter().max().copied();
    assert!(most <= Some(20), "{most:?} in a second");
}

/// Returns a service with principals from the header `x-user`, and a budget that 10,000 jobs
/// exhaust.
fn shared_by_principals() -> AsyncJob<support::Handler> {
    let builder = AsyncJobLayer::builder()
        .estimator(Learned::new().polls_per_second(1_000))
        .principal(|request| {
            let name = request.headers.get("x-user")?.to_str().ok()?;
            Some(Principal::new(name))
        });
    wrap(&eager(builder), slow(3_000 * SECOND, "done"))
}

fn by(user: &'static str, request: Request<Body>) -> Request<Body> {
    with(request, "x-user", user)
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_jobs_of_one_principal_do_not_delay_another_s() {
    let service = shared_by_principals();
    let mut longest = Duration::ZERO;
    for _ in 0..10_000 {
        let answer = send(&service, by("crowd", post("/report"))).await;
        longest = longest.max(delay_of(&answer));
    }
    assert!(longest > 10 * SECOND, "{longest:?}: the budget is not used");
    let mut answer = send(&service, by("single", post("/report"))).await;
    assert_eq!(answer.header("retry-after"), "1");
    // The same holds later, as its polls become rarer by themselves.
    for _ in 0..5 {
        let delay = delay_of(&answer);
        sleep(delay).await;
        answer = send(&service, by("single", get(answer.location()))).await;
        assert!(delay_of(&answer) < 2 * delay.max(SECOND));
    }
    let other = send(&service, post("/report")).await;
    assert_eq!(other.header("retry-after"), "1", "of no principal");
}

#[tokio::test(start_paused = true)]
async fn estimators_see_how_many_jobs_are_the_principal_s_own() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let witness = seen.clone();
    let builder = AsyncJobLayer::builder()
        .estimator(move |pending: &ObservedJob<'_>| {
            let counts = (pending.own_jobs, pending.jobs, pending.principals);
            witness.lock().expect("whole").push(counts);
            SECOND
        })
        .principal(|request| {
            let name = request.headers.get("x-user")?.to_str().ok()?;
            Some(Principal::new(name))
        });
    let service = wrap(&eager(builder), slow(8 * SECOND, "done"));
    send(&service, by("a", post("/report"))).await;
    let first = send(&service, by("a", post("/report"))).await;
    send(&service, by("b", post("/report"))).await;
    send(&service, post("/report")).await;
    let poll = get(support::path_of(first.location()));
    send(&service, by("a", poll)).await.pending();
    sleep(10 * SECOND).await;
    send(&service, by("b", post("/report"))).await;
    let counts = [
        (1, 1, 1),
        (2, 2, 1),
        (1, 3, 2),
        (1, 4, 3),
        (2, 4, 3),
        (1, 1, 1),
    ];
    assert_eq!(*seen.lock().expect("whole"), counts);
}

#[tokio::test(start_paused = true)]
async fn progress_tells_what_is_left() {
    let half_way = handler(async |request| {
        JobContext::of(&request).progress(0.5);
        sleep(40 * SECOND).await;
        Response::new(Body::from("done"))
    });
    let service = wrap(&eager(AsyncJobLayer::builder()), half_way);
    let answer = send(&service, post("/report")).await;
    sleep(20 * SECOND).await;
    let poll = send(&service, get(support::path_of(answer.location()))).await;
    let left = delay_of(&poll);
    assert!(left >= 20 * SECOND && left < 21 * SECOND, "{left:?}");
}

#[tokio::test(start_paused = true)]
async fn routes_can_be_the_matched_paths_of_axum() {
    let witness = Witness::default();
    let layer = AsyncJobLayer::builder()
        .inline_wait(Duration::ZERO)
        .estimator(witness.clone())
        .route(|request| {
            let path = request.extensions.get::<MatchedPath>();
            path.map_or_else(|| "none".to_owned(), |path| path.as_str().to_owned())
        })
        .build()
        .expect("valid");
    let app: Router = Router::new()
        .route(
            "/users/{id}/report",
            on_post(async || sleep(5 * SECOND).await),
        )
        .layer(layer);
    for user in ["1", "2"] {
        let path = format!("/users/{user}/report");
        let request = http::Request::post(path).body(axum::body::Body::empty());
        let response = app.clone().oneshot(request.expect("valid")).await;
        assert_eq!(response.expect("infallible").status(), 303);
    }
    sleep(10 * SECOND).await;
    let told = ("/users/{id}/report".to_owned(), 5 * SECOND);
    assert_eq!(witness.told(), [told.clone(), told]);
}
