//! Nodes that share a store: the delays that they announce, whichever node ran the jobs.

use std::{
    sync::{Arc, Mutex, atomic::Ordering},
    time::Duration,
};

use crate::support::{
    Answer, Body, Handler, SECOND, ask, eager, faulty::FaultyStore, get, path_of, post, request,
    send, slow, with, wrap,
};
use http::{Method, Request};
use tokio::time::{Instant, sleep};
use tower_async_job::{
    AsyncJob, AsyncJobLayer, Builder, Estimator, Learned, ObservedJob, store::Principal,
};

/// A store with this number of nodes.
fn store(nodes: u32) -> Arc<FaultyStore> {
    let store = FaultyStore::shared(30 * SECOND);
    store.nodes.store(nodes, Ordering::SeqCst);
    Arc::new(store)
}

fn node(store: &Arc<FaultyStore>) -> Builder {
    AsyncJobLayer::builder().store(store.clone())
}

/// An estimator that records its inputs, and forwards to another.
#[derive(Clone, Default)]
struct Witness {
    learned: Arc<Learned>,
    completed: Arc<Mutex<Vec<(String, Duration)>>>,
    /// The principal's own jobs, all jobs, and the principals.
    counts: Arc<Mutex<Vec<(usize, usize, usize)>>>,
}

impl Estimator for Witness {
    fn retry_after(&self, pending: &ObservedJob<'_>) -> Duration {
        let counts = (pending.own_jobs, pending.jobs, pending.principals);
        self.counts.lock().expect("whole").push(counts);
        self.learned.retry_after(pending)
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

    fn last(&self) -> (usize, usize, usize) {
        *self.counts.lock().expect("whole").last().expect("asked")
    }
}

fn delay_of(answer: &Answer) -> Duration {
    Duration::from_millis(answer.header("retry-after-ms").parse().expect("digits"))
}

/// Submits a job to one node and polls another at the announced times. Returns the delay until its
/// end was noticed, and the number of polls.
async fn follow(
    runner: &AsyncJob<Handler>,
    front: &AsyncJobLayer,
    takes: Duration,
) -> (Duration, u32) {
    let begun = Instant::now();
    let accepted = send(runner, post("/report")).await.pending();
    let mut answer = ask(front, get(path_of(accepted.location()))).await;
    let mut polls = 1;
    while answer.header("job-status") == "running" {
        sleep(delay_of(&answer)).await;
        answer = ask(front, get(path_of(accepted.location()))).await;
        polls += 1;
    }
    assert_eq!(answer.body, "done");
    (begun.elapsed() - takes, polls)
}

#[tokio::test(start_paused = true)]
async fn front_only_node_learns_as_the_node_that_runs_the_jobs() {
    let (store, takes) = (store(2), 2 * SECOND);
    let [runner, front] = [(), ()].map(|()| eager(node(&store)));
    let runner = wrap(&runner, slow(takes, "done"));
    let (_, polls) = follow(&runner, &front, takes).await;
    assert!(polls > 2, "it is known before it is learned");
    for _ in 1..8 {
        follow(&runner, &front, takes).await;
    }
    for _ in 0..50 {
        let (late, polls) = follow(&runner, &front, takes).await;
        assert!(late <= takes / 50, "{late:?} late");
        assert_eq!(polls, 2, "one at once, and one at the end");
    }
    // So does the node that ran them, without delivering any.
    let delay = delay_of(&send(&runner, post("/report")).await);
    assert!(delay >= takes && delay <= takes + takes / 50, "{delay:?}");
}

#[tokio::test(start_paused = true)]
async fn job_is_learned_from_once_on_each_node_however_often_it_is_delivered() {
    let store = store(2);
    let [running, delivering] = [Witness::default(), Witness::default()];
    let runner = eager(node(&store).estimator(running.clone()));
    let front = eager(node(&store).estimator(delivering.clone()));
    let accepted = send(&wrap(&runner, slow(5 * SECOND, "done")), post("/report")).await;
    let job = path_of(accepted.location());
    let held = with(get(job), "prefer", "wait=10");
    assert_eq!(ask(&front, held).await.body, "done");
    let told = [("POST /report".to_owned(), 5 * SECOND)];
    for _ in 0..2 {
        for layer in [&runner, &front] {
            ask(layer, request(Method::HEAD, job)).await;
            ask(layer, get(&format!("{job}/status"))).await;
            assert_eq!(ask(layer, get(job)).await.body, "done");
        }
        assert_eq!(running.told(), told);
        assert_eq!(delivering.told(), told);
    }
}

#[tokio::test(start_paused = true)]
async fn job_that_is_held_where_it_runs_is_learned_from_once() {
    let witness = Witness::default();
    let layer = eager(node(&store(2)).estimator(witness.clone()));
    let service = wrap(&layer, slow(5 * SECOND, "done"));
    let accepted = send(&service, post("/report")).await.pending();
    let held = with(get(path_of(accepted.location())), "prefer", "wait=10");
    assert_eq!(send(&service, held).await.body, "done");
    sleep(SECOND).await;
    assert_eq!(witness.told(), [("POST /report".to_owned(), 5 * SECOND)]);
}

#[tokio::test(start_paused = true)]
async fn only_what_was_polled_for_and_is_done_is_learned_from_elsewhere() {
    let store = store(2);
    let witness = Witness::default();
    let runner = node(&store)
        .job_deadline(20 * SECOND)
        .build()
        .expect("valid");
    let front = node(&store).estimator(witness.clone());
    let front = front.build().expect("valid");
    let late = wrap(&runner, slow(60 * SECOND, "late"));
    let accepted = send(&late, post("/late")).await.pending();
    sleep(30 * SECOND).await;
    let answer = ask(&front, get(path_of(accepted.location()))).await;
    assert_eq!(answer.header("job-status"), "timed-out");
    // The repeats of a key: for an inline answer, and for one after the inline wait.
    for (uri, key, time) in [("/inline", "i", SECOND / 2), ("/polled", "p", 5 * SECOND)] {
        let keyed = || with(post(uri), "idempotency-key", key);
        send(&wrap(&runner, slow(time, "done")), keyed()).await;
        sleep(10 * SECOND).await;
        let unused = wrap(&front, slow(time, "unused"));
        assert_eq!(send(&unused, keyed()).await.body, "done");
    }
    assert_eq!(witness.told(), [("POST /polled".to_owned(), 5 * SECOND)]);
}

fn by(user: &'static str, request: Request<Body>) -> Request<Body> {
    with(request, "x-user", user)
}

#[tokio::test(start_paused = true)]
async fn budget_of_polls_is_for_a_node_s_share_of_all_pending_jobs() {
    let store = store(4);
    let witness = Witness::default();
    let with_principals = |builder: Builder| {
        eager(builder.principal(|request| {
            let name = request.headers.get("x-user")?.to_str().ok()?;
            Some(Principal::new(name))
        }))
    };
    let runner = with_principals(node(&store));
    let front = with_principals(node(&store).estimator(witness.clone()));
    let [runner, service] = [&runner, &front].map(|layer| wrap(layer, slow(3600 * SECOND, "done")));
    let accepted = send(&runner, by("crowd", post("/report"))).await;
    let job = path_of(accepted.location());
    for _ in 0..79 {
        send(&runner, by("crowd", post("/report"))).await.pending();
    }
    for _ in 0..20 {
        send(&runner, post("/report")).await.pending();
    }
    let own = send(&service, by("single", post("/report")))
        .await
        .pending();
    sleep(30 * SECOND).await;
    ask(&front, by("crowd", get(job))).await.pending();
    assert_eq!(witness.last(), (20, 26, 3));
    ask(&front, by("single", get(path_of(own.location()))))
        .await
        .pending();
    assert_eq!(witness.last(), (1, 26, 3));
    // Jobs accepted since the sweep count as well.
    for _ in 0..4 {
        send(&service, post("/report")).await.pending();
    }
    assert_eq!(witness.last(), (5, 30, 3));
}
