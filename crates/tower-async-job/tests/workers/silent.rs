//! Clients of jobs whose node has died, which keep to the delays that they are told.

use std::time::Duration;

use crate::{
    App, LEASE, Node, RECOVERY, attempted, shared,
    support::{Answer, SECOND, ask, get, settle, with},
};
use tokio::time::{Instant, sleep, sleep_until};
use tower_async_job::{Estimator, JobContext, Learned};

/// The time of the sweep, and of a poll that is due while it is made.
const MARGIN: Duration = Duration::from_secs(2);

/// Returns a handler that works for a time, and tells its progress meanwhile.
fn progressing(time: Duration) -> App {
    App::new(move |request| async move {
        let begun = Instant::now();
        while begun.elapsed() < time {
            sleep(time / 30).await;
            let done = begun.elapsed().as_secs_f64() / time.as_secs_f64();
            JobContext::of(&request).progress(done.min(1.0));
        }
        attempted(&request)
    })
}

fn delay_of(answer: &Answer) -> Duration {
    Duration::from_millis(answer.header("retry-after-ms").parse().expect("digits"))
}

/// Polls as a client does, from now on; returns the number of its polls and the last answer.
async fn follow(node: &Node, url: &str) -> (u32, Answer) {
    let (mut polls, mut url) = (0, url.to_owned());
    loop {
        let answer = ask(&node.layer, get(&url)).await;
        polls += 1;
        if !matches!(answer.header("job-status"), "running" | "queued") {
            return (polls, answer);
        }
        sleep(delay_of(&answer)).await;
        url = answer.location().to_owned();
    }
}

/// Returns an estimator that knows how long the jobs take.
fn learned(time: Duration) -> Learned {
    let learned = Learned::new();
    for _ in 0..20 {
        learned.completed("POST /report", time);
    }
    learned
}

/// Kills the node of a job of this duration after a time, and follows the job from `first` on.
/// Returns the time after which the client has the result, and the number of its polls.
async fn killed(
    app: &App,
    estimator: impl Fn() -> Learned,
    after: Duration,
    first: Duration,
) -> (Duration, u32) {
    let store = shared();
    let [one, other] =
        [(), ()].map(|()| Node::new(&store, |builder| builder.estimator(estimator())));
    other.work(app);
    let begun = Instant::now();
    let job = one.submit(app).await;
    let kill = one.killer();
    tokio::spawn(async move {
        sleep_until(begun + after).await;
        kill();
    });
    sleep_until(begun + first).await;
    let (polls, answer) = follow(&other, &job).await;
    assert_eq!(answer.body, "attempt 2");
    (begun.elapsed(), polls)
}

#[tokio::test(start_paused = true)]
async fn s03_client_has_the_result_once_the_job_of_a_dead_node_was_run_again() {
    let time = 15 * SECOND;
    // Whenever its polls are due, before and after the death.
    for first in [1, 6, 10, 14, 24].map(|first| first * SECOND) {
        for after in [1, 4, 11].map(|after| after * SECOND) {
            let by_progress = killed(&progressing(time), Learned::new, after, first).await;
            let by_route = killed(&App::slow(time), || learned(time), after, first).await;
            // The lease was last renewed every ten seconds.
            let renewed = after.as_secs() / 10 * 10;
            let again = Duration::from_secs(renewed) + LEASE + time;
            for (end, polls) in [by_progress, by_route] {
                let case = format!("first {first:?}, killed {after:?}: {end:?}, {polls} polls");
                assert!(end <= again + MARGIN, "{case}, not {again:?}");
                assert!(polls <= 14, "{case}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn s03_delay_that_was_told_before_the_death_ends_before_the_further_run() {
    let time = 600 * SECOND;
    for after in [60, 300, 590].map(|after| after * SECOND) {
        let app = App::slow(time);
        let (end, polls) = killed(&app, || learned(time), after, after - SECOND).await;
        let again = after + LEASE + time;
        assert!(end <= again + time / 32, "{end:?}, not {again:?}");
        assert!(polls <= 20, "{polls} polls");
    }
}

#[tokio::test(start_paused = true)]
async fn s04_client_learns_of_a_loss_when_the_lease_has_ended() {
    let store = shared();
    let [one, other] = [(), ()].map(|()| Node::configured(&store, |builder| builder));
    let job = one.submit(&progressing(60 * SECOND)).await;
    sleep(12 * SECOND).await;
    one.kill();
    let renewed = Instant::now() - 2 * SECOND;
    sleep_until(renewed + LEASE / 2 + SECOND).await;
    let (polls, answer) = follow(&other, &job).await;
    assert_eq!((answer.header("job-status"), polls), ("lost", 2));
    assert!(
        renewed.elapsed() <= LEASE + MARGIN,
        "{:?}",
        renewed.elapsed()
    );
}

#[tokio::test(start_paused = true)]
async fn s03_job_that_waits_for_its_further_run_has_no_progress_and_is_asked_for_soon() {
    let store = shared();
    let app = progressing(60 * SECOND);
    let [one, other] = [(), ()].map(|()| Node::new(&store, |builder| builder));
    let job = one.submit(&app).await;
    sleep(40 * SECOND).await;
    one.kill();
    sleep(SECOND).await;
    let told = ask(&other.layer, get(&job)).await.pending().json();
    assert!(told["progress"]["fraction"].as_f64() > Some(0.6), "{told}");
    sleep(RECOVERY).await;
    let waiting = ask(&other.layer, get(&job)).await.pending();
    let told = waiting.json();
    assert_eq!(
        (&told["state"], &told["attempt"]),
        (&"queued".into(), &1.into())
    );
    assert!(told.get("progress").is_none(), "{told}");
    assert!(delay_of(&waiting) < 4 * SECOND, "{:?}", delay_of(&waiting));
    other.work(&app);
    sleep(2 * SECOND).await;
    settle().await;
    let again = ask(&other.layer, get(&job)).await.pending().json();
    assert_eq!(
        (&again["state"], &again["attempt"]),
        (&"running".into(), &2.into())
    );
    assert!(
        again["progress"]["fraction"].as_f64() < Some(0.1),
        "{again}"
    );
}

#[tokio::test(start_paused = true)]
async fn page_promises_no_end_of_a_run_whose_node_is_silent() {
    let store = shared();
    let [one, other] = [(), ()].map(|()| Node::new(&store, |builder| builder));
    let job = one.submit(&progressing(60 * SECOND)).await;
    sleep(15 * SECOND).await;
    one.kill();
    for (after, remaining) in [(SECOND, ">about 5"), (10 * SECOND, ">not known<")] {
        sleep(after).await;
        let request = with(get(&job), "accept", "text/html");
        let page = ask(&other.layer, with(request, "sec-fetch-mode", "navigate")).await;
        let html = std::str::from_utf8(&page.pending().body)
            .expect("text")
            .to_owned();
        assert!(html.contains(remaining), "{html}");
        assert!(html.contains("% · Working on it"), "{html}");
    }
}
