//! Notifications of the ends of jobs.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use crate::{
    App, LEASE, Node, RECOVERY, attempted, shared,
    support::{Answer, Body, SECOND, ask, memory, path_of, post, request, send, settle, with},
};
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_polling::JobState;
use tokio::time::{Instant, sleep};
use tower_async_job::{
    AsyncJobLayer, Builder, JobContext, Notification, Notified, Role,
    store::{JobStore, Retention},
};

/// The notifications that a receiver was sent, and its answers to the next ones; then it is done.
#[derive(Clone)]
struct Inbox {
    begun: Instant,
    sent: Arc<Mutex<Vec<(Duration, Notification)>>>,
    answers: Arc<Mutex<VecDeque<Notified>>>,
}

impl Inbox {
    fn new(answers: impl IntoIterator<Item = Notified>) -> Self {
        Self {
            begun: Instant::now(),
            sent: Arc::default(),
            answers: Arc::new(Mutex::new(answers.into_iter().collect())),
        }
    }

    /// Runs the notifier of a layer for it.
    fn serve(&self, layer: &AsyncJobLayer) {
        let inbox = self.clone();
        let notifier = layer.notifier(move |notification| {
            let mut sent = inbox.sent.lock().expect("unpoisoned");
            sent.push((inbox.begun.elapsed(), notification));
            let answer = inbox.answers.lock().expect("unpoisoned").pop_front();
            async move { answer.unwrap_or(Notified::Done) }
        });
        tokio::spawn(notifier.run());
    }

    fn sent(&self) -> Vec<(Duration, Notification)> {
        self.sent.lock().expect("unpoisoned").clone()
    }

    /// Returns the only notification.
    #[track_caller]
    fn one(&self) -> Notification {
        match &self.sent()[..] {
            [(_, one)] => one.clone(),
            sent => panic!("not one: {sent:?}"),
        }
    }
}

/// Notes the header `hook` of requests, and refuses one with the value `no`.
fn hooked(builder: Builder) -> Builder {
    builder.notify_when(|request| match request.headers.get("hook") {
        Some(hook) if hook == "no" => Err("no hook has this name".to_owned()),
        hook => Ok(hook.map(|hook| Bytes::copy_from_slice(hook.as_bytes()))),
    })
}

fn hook(uri: &str) -> Request<Body> {
    with(post(uri), "hook", "A")
}

/// Submits a request whose end is notified of, and returns its job's URL.
async fn submit(node: &Node, app: &App) -> String {
    let accepted = send(&node.service(app), hook("/report")).await.pending();
    assert_eq!(accepted.header("preference-applied"), "callback");
    path_of(accepted.location()).to_owned()
}

#[tokio::test(start_paused = true)]
async fn end_is_notified_of_once_with_its_job_and_the_noted_bytes() {
    let store = shared();
    let node = Node::configured(&store, |builder| {
        hooked(builder).public_base("https://api.example/work")
    });
    let inbox = Inbox::new([]);
    inbox.serve(&node.layer);
    let app = App::new(|request| async move {
        sleep(3 * SECOND).await;
        let handle = JobContext::of(&request).handle();
        let mut answer = Response::new(Body::from(handle.to_string()));
        *answer.status_mut() = StatusCode::IM_A_TEAPOT;
        answer
    });
    let job = submit(&node, &app).await;
    sleep(2 * SECOND).await;
    assert_eq!(inbox.sent(), []);
    sleep(3 * SECOND).await;
    let sent = inbox.one();
    assert_eq!(sent.url, job);
    let path = job.strip_prefix("https://api.example").expect("absolute");
    let result = ask(&node.layer, crate::support::get(path)).await;
    assert_eq!(result.body, sent.handle.to_string());
    assert_eq!(sent.state, JobState::Done);
    assert_eq!(sent.status, Some(StatusCode::IM_A_TEAPOT));
    assert_eq!((sent.target, sent.attempt), (Bytes::from("A"), 1));
    assert!(sent.age < SECOND, "{:?}", sent.age);
    sleep(200 * SECOND).await;
    inbox.one();
}

#[tokio::test(start_paused = true)]
async fn request_without_a_notification_has_none() {
    let store = shared();
    let node = Node::configured(&store, hooked);
    let inbox = Inbox::new([]);
    inbox.serve(&node.layer);
    let service = node.service(&App::slow(SECOND));
    let accepted = send(&service, post("/report")).await.pending();
    assert_eq!(accepted.header("preference-applied"), "");
    sleep(60 * SECOND).await;
    assert_eq!(inbox.sent(), []);
}

#[tokio::test(start_paused = true)]
async fn refused_notification_refuses_the_request_before_its_handler() {
    let store = shared();
    let node = Node::configured(&store, hooked);
    let runs = Arc::new(AtomicUsize::new(0));
    let counted = runs.clone();
    let app = App::new(move |request| {
        counted.fetch_add(1, Ordering::SeqCst);
        async move { attempted(&request) }
    });
    let refused = || with(post("/report"), "hook", "no");
    for request in [refused(), with(refused(), "idempotency-key", "k")] {
        let answer = send(&node.service(&app), request).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST);
        assert_eq!(answer.header("content-type"), "application/problem+json");
        assert_eq!(answer.json()["detail"], "no hook has this name");
    }
    assert_eq!(runs.load(Ordering::SeqCst), 0);
}

#[tokio::test(start_paused = true)]
async fn answer_within_the_inline_wait_is_not_notified_of() {
    let store = shared();
    for role in [Role::Both, Role::Front] {
        let node = Node::new(&store, |builder| {
            hooked(builder).inline_wait(5 * SECOND).role(role)
        });
        let inbox = Inbox::new([]);
        inbox.serve(&node.layer);
        let app = App::slow(SECOND);
        node.work(&app);
        for request in [hook("/a"), with(hook("/b"), "idempotency-key", "k")] {
            let answer = send(&node.service(&app), request).await;
            assert_eq!(answer.body, "attempt 1");
            assert_eq!(answer.header("preference-applied"), "");
        }
        sleep(100 * SECOND).await;
        assert_eq!(inbox.sent(), [], "{role:?}");
        node.kill();
        sleep(RECOVERY).await;
    }
}

#[tokio::test(start_paused = true)]
async fn repeats_with_a_key_are_notified_of_together() {
    let store = shared();
    let node = Node::configured(&store, hooked);
    let inbox = Inbox::new([]);
    inbox.serve(&node.layer);
    let service = node.service(&App::slow(3 * SECOND));
    let keyed = || with(hook("/report"), "idempotency-key", "k");
    for _ in 0..3 {
        let answer = send(&service, keyed()).await.pending();
        assert_eq!(answer.header("job-status"), "running");
    }
    sleep(100 * SECOND).await;
    assert_eq!(inbox.one().state, JobState::Done);
}

#[tokio::test(start_paused = true)]
async fn every_end_is_notified_of_with_its_state() {
    let store = shared();
    let [one, other] = [(), ()]
        .map(|()| Node::configured(&store, |builder| hooked(builder).job_deadline(100 * SECOND)));
    let inbox = Inbox::new([]);
    inbox.serve(&other.layer);
    let endless = App::slow(10_000 * SECOND);
    let cancelled = submit(&other, &endless).await;
    ask(&other.layer, request(Method::DELETE, &cancelled)).await;
    let failing = App::new(|_| async {
        sleep(SECOND).await;
        panic!("in the handler")
    });
    let failed = submit(&other, &failing).await;
    let timed_out = submit(&other, &endless).await;
    let lost = submit(&one, &endless).await;
    one.kill();
    sleep(150 * SECOND).await;
    let mut ends: Vec<_> = inbox
        .sent()
        .into_iter()
        .map(|(_, sent)| (sent.url, sent.state, sent.status.map(|it| it.as_u16())))
        .collect();
    let mut expected = vec![
        (cancelled, JobState::Cancelled, None),
        (failed, JobState::Failed, Some(500)),
        (timed_out, JobState::TimedOut, Some(504)),
        (lost, JobState::Lost, None),
    ];
    ends.sort_by(|a, b| a.0.cmp(&b.0));
    expected.sort_by(|a, b| a.0.cmp(&b.0));
    assert_eq!(ends, expected);
}

#[tokio::test(start_paused = true)]
async fn failed_attempts_are_repeated_after_their_times_until_one_is_final() {
    for last in [Notified::Done, Notified::Refused] {
        let again = [5, 30].map(|after| Notified::Again(after * SECOND));
        let store = shared();
        let node = Node::configured(&store, hooked);
        let inbox = Inbox::new(again.into_iter().chain([last]));
        inbox.serve(&node.layer);
        submit(&node, &App::slow(SECOND)).await;
        sleep(600 * SECOND).await;
        let sent = inbox.sent();
        let attempts: Vec<u32> = sent.iter().map(|(_, sent)| sent.attempt).collect();
        assert_eq!(attempts, [1, 2, 3]);
        for ((at, sent), expected) in sent.iter().zip([1, 6, 36]) {
            let late = at.checked_sub(expected * SECOND);
            assert!(late.is_some_and(|late| late < 2 * SECOND), "{at:?}");
            let age = sent.age.abs_diff(*at - SECOND);
            assert!(age < SECOND / 4, "{age:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn attempts_end_with_the_retention() {
    let store = shared();
    let retention = Retention::new(120 * SECOND, 120 * SECOND);
    let node = Node::configured(&store, |builder| hooked(builder).retention(retention));
    let inbox = Inbox::new((0..1_000).map(|_| Notified::Again(30 * SECOND)));
    inbox.serve(&node.layer);
    submit(&node, &App::slow(SECOND)).await;
    sleep(2_000 * SECOND).await;
    let (last, _) = inbox.sent().pop().expect("some");
    assert!(last > 90 * SECOND && last < 125 * SECOND, "{last:?}");
}

#[tokio::test(start_paused = true)]
async fn notification_of_a_killed_node_is_sent_by_another() {
    let store = shared();
    let [one, other] = [(), ()].map(|()| Node::configured(&store, hooked));
    let kill = one.killer();
    let begun = Arc::new(AtomicUsize::new(0));
    let counted = begun.clone();
    let notifier = one.layer.notifier(move |_| {
        counted.fetch_add(1, Ordering::SeqCst);
        kill();
        async { Notified::Done }
    });
    tokio::spawn(notifier.run());
    let job = submit(&one, &App::slow(SECOND)).await;
    sleep(10 * SECOND).await;
    assert_eq!(begun.load(Ordering::SeqCst), 1);
    let inbox = Inbox::new([]);
    inbox.serve(&other.layer);
    sleep(LEASE).await;
    let sent = inbox.one();
    assert_eq!((sent.url, sent.attempt), (job, 2));
    sleep(2 * LEASE).await;
    inbox.one();
}

#[tokio::test(start_paused = true)]
async fn rerun_keeps_the_notification() {
    let store = shared();
    let [one, other] = [(), ()].map(|()| Node::new(&store, hooked));
    let app = App::slow(5 * SECOND);
    let inbox = Inbox::new([]);
    inbox.serve(&other.layer);
    other.work(&app);
    let job = submit(&one, &app).await;
    one.kill();
    sleep(RECOVERY + 10 * SECOND).await;
    let sent = inbox.one();
    assert_eq!((sent.url, sent.state), (job, JobState::Done));
    assert_eq!(sent.target, "A");
}

#[tokio::test(start_paused = true)]
async fn attempt_that_panics_or_never_ends_delays_no_other_and_is_made_again() {
    let store = shared();
    let node = Node::configured(&store, hooked);
    let sent = Arc::<Mutex<Vec<(Bytes, u32)>>>::default();
    let noted = sent.clone();
    let notifier = node.layer.notifier(move |notification: Notification| {
        let hook = notification.target.clone();
        let seen = (hook.clone(), notification.attempt);
        noted.lock().expect("unpoisoned").push(seen);
        assert_ne!(hook, "panicking", "as its name says");
        async move {
            if hook == "hanging" {
                std::future::pending::<()>().await;
            }
            Notified::Done
        }
    });
    tokio::spawn(notifier.concurrency(3).run());
    let service = node.service(&App::slow(SECOND));
    for hook in ["panicking", "hanging", "usual"] {
        send(&service, with(post("/report"), "hook", hook))
            .await
            .pending();
    }
    sleep(3 * SECOND).await;
    let expected = |attempt| ["panicking", "hanging", "usual"].map(|it| (Bytes::from(it), attempt));
    let mut first = std::mem::take(&mut *sent.lock().expect("unpoisoned"));
    first.sort_by_key(|(hook, _)| expected(1).iter().position(|it| it.0 == hook));
    assert_eq!(first, expected(1));
    sleep(60 * SECOND).await;
    let again = sent.lock().expect("unpoisoned").clone();
    assert_eq!(again[..2], expected(2)[..2]);
    assert!(again.iter().all(|(hook, _)| hook != "usual"), "{again:?}");
}

#[tokio::test(start_paused = true)]
async fn no_more_are_sent_at_once_than_the_limit() {
    let store = shared();
    let node = Node::configured(&store, hooked);
    let running = Arc::new(AtomicUsize::new(0));
    let (most, all) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let counts = (running, most.clone(), all.clone());
    let notifier = node.layer.notifier(move |_| {
        let (running, most, all) = counts.clone();
        async move {
            most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            sleep(SECOND).await;
            running.fetch_sub(1, Ordering::SeqCst);
            all.fetch_add(1, Ordering::SeqCst);
            Notified::Done
        }
    });
    tokio::spawn(notifier.concurrency(4).run());
    let app = App::slow(SECOND);
    for _ in 0..20 {
        submit(&node, &app).await;
    }
    sleep(15 * SECOND).await;
    assert_eq!(most.load(Ordering::SeqCst), 4);
    assert_eq!(all.load(Ordering::SeqCst), 20);
}

#[tokio::test(start_paused = true)]
async fn shutdown_sends_what_ends_in_its_grace_and_hands_the_rest_over() {
    let store = shared();
    let [one, other] = [(), ()].map(|()| Node::configured(&store, hooked));
    let begun = Arc::new(AtomicUsize::new(0));
    let counted = begun.clone();
    let notifier = one.layer.notifier(move |_| {
        counted.fetch_add(1, Ordering::SeqCst);
        std::future::pending()
    });
    let running = tokio::spawn(notifier.run());
    let job = submit(&one, &App::slow(2 * SECOND)).await;
    let stopped = Instant::now();
    one.layer.shutdown(6 * SECOND).await;
    assert_eq!(stopped.elapsed(), 6 * SECOND);
    running.await.expect("no panic");
    assert_eq!(begun.load(Ordering::SeqCst), 1);
    let inbox = Inbox::new([]);
    inbox.serve(&other.layer);
    sleep(2 * SECOND).await;
    assert_eq!(inbox.one().url, job);
}

#[tokio::test(start_paused = true)]
async fn store_of_one_process_is_notified_of_at_once() {
    let store: Arc<dyn JobStore> = Arc::new(memory().build());
    let builder = AsyncJobLayer::builder().store(store);
    let layer = crate::support::eager(hooked(builder));
    let inbox = Inbox::new([]);
    inbox.serve(&layer);
    settle().await;
    let service = tower::Layer::layer(&layer, App::slow(3 * SECOND));
    let accepted: Answer = send(&service, hook("/report")).await.pending();
    sleep(3 * SECOND + SECOND / 100).await;
    assert_eq!(inbox.one().url, path_of(accepted.location()));
}
