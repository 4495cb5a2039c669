//! Servers that deliver later, without a network.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use futures_util::{StreamExt, stream};
use http::{Request, Response};
use http_body::Frame;
use http_body_util::{Full, StreamBody};
use serde_json::json;
use tokio::{sync::mpsc, time::interval};
use tower::{Layer, ServiceExt, service_fn};
use tower_async_job::{
    JobBody, JobContext, Release,
    store::{Detail, JobStore, MemoryStore},
};
use tower_async_job_testkit::{Call, Fault, FaultyStore};

use super::{super::runs::Runs, *};

const SECOND: Duration = Duration::from_secs(1);

/// A job that is with its server.
struct Left {
    parties: Parties,
    party: Party,
    store: FaultyStore,
}

impl Left {
    async fn new() -> Self {
        let store = FaultyStore::new(Arc::new(MemoryStore::new()));
        let jobs = AsyncJobLayer::builder().store(store.store());
        let jobs = jobs.result_limit(16).build().unwrap();
        let runs = Runs::new("127.0.0.1:9000".parse().unwrap());
        let (sender, mut left) = mpsc::unbounded_channel();
        let service = service_fn(move |request: Request<JobBody<Full<Bytes>>>| {
            let run = runs.begin(JobContext::of(&request), None);
            let party = run.party(Some(60 * SECOND));
            let release = Release::default().with_outside(party.outside());
            sender.send(party).unwrap();
            let mut response = Response::new(Full::<Bytes>::default());
            response.extensions_mut().insert(release);
            async { Ok::<_, Infallible>(response) }
        });
        let request = Request::post("/").body(Full::default()).unwrap();
        let Ok(accepted) = jobs.layer(service).oneshot(request).await;
        assert_eq!(accepted.headers()["job-status"], "running");
        Self {
            parties: Parties::new(jobs, |_| None),
            party: left.recv().await.unwrap(),
            store,
        }
    }

    async fn report(&self, json: &str) -> Result<State, Refusal> {
        let report = Report::of(json.as_bytes()).unwrap();
        self.parties.report(&self.party, report).await
    }
}

#[tokio::test(start_paused = true)]
async fn a_thousand_reports_a_second_are_ten_writes_of_a_job_that_is_left_too() {
    let left = Left::new().await;
    let mut ticks = interval(Duration::from_millis(1));
    for number in 1..=3000 {
        ticks.tick().await;
        let report = json!({"done": number, "total": 3000}).to_string();
        assert!(matches!(left.report(&report).await, Ok(State::Running(_))));
    }
    sleep(SECOND).await;
    let writes = left.store.calls(Call::RenewOutside);
    assert!((20..=33).contains(&writes), "{writes}");
    let store = left.store.store();
    let id = store.find(left.party.handle).await.unwrap().unwrap();
    let record = store.read(&id, Detail::Status).await.unwrap().unwrap();
    assert_eq!(record.progress.unwrap().done, Some(3000));
    store.cancel(&id).await.unwrap();
    assert!(matches!(left.report("{}").await, Ok(State::Cancelled)));
}

#[tokio::test(start_paused = true)]
async fn a_server_without_the_secret_is_told_to_try_again() {
    let mut left = Left::new().await;
    left.party = Party::of(&left.party.segment().replace("-60-", "-61-")).unwrap();
    let begun = Instant::now();
    assert!(matches!(left.report("{}").await, Err(Refusal::Early)));
    let request = Request::put("/").body(Full::from("forged")).unwrap();
    let refused = left.parties.deliver(&left.party, request).await;
    let refused = refused.unwrap_err().response();
    assert_eq!(
        (refused.status().as_u16(), &refused.headers()["retry-after"]),
        (503, &"1".parse().unwrap())
    );
    assert!(begun.elapsed() <= 2 * PATIENCE);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_fails_lets_the_server_try_again() {
    let left = Left::new().await;
    left.store.plan(Call::Find, Fault::Unavailable, 2);
    assert!(matches!(left.report("{}").await, Err(Refusal::Unavailable)));
    let deliver = async || {
        let request = Request::put("/").body(Full::from("done")).unwrap();
        left.parties.deliver(&left.party, request).await
    };
    assert!(matches!(deliver().await, Err(Refusal::Unavailable)));
    left.store.plan(Call::Finish, Fault::Full, 1);
    let full = deliver().await.unwrap_err().response();
    assert_eq!(full.status(), 503);
    assert!(full.headers().contains_key("retry-after"));
    deliver().await.unwrap();
    deliver().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_result_that_is_refused_is_read_to_its_end() {
    let left = Left::new().await;
    // The first is too large, and the second too late.
    for is_first in [true, false] {
        let read = Arc::new(AtomicUsize::new(0));
        let counted = read.clone();
        let frames = stream::iter(0..100).map(move |_| {
            counted.fetch_add(1, Ordering::Relaxed);
            Ok::<_, Infallible>(Frame::data(Bytes::from("four")))
        });
        let request = Request::put("/").body(StreamBody::new(frames)).unwrap();
        let refused = left.parties.deliver(&left.party, request).await;
        match is_first {
            true => assert!(matches!(refused, Err(Refusal::TooLarge)), "{refused:?}"),
            false => assert!(matches!(refused, Err(Refusal::Over)), "{refused:?}"),
        }
        assert_eq!(read.load(Ordering::Relaxed), 100);
    }
}

#[tokio::test(start_paused = true)]
async fn a_result_that_is_repeated_is_read_to_its_end() {
    let left = Left::new().await;
    for _ in 0..2 {
        let read = Arc::new(AtomicUsize::new(0));
        let counted = read.clone();
        let frames = stream::iter(0..4).map(move |_| {
            counted.fetch_add(1, Ordering::Relaxed);
            Ok::<_, Infallible>(Frame::data(Bytes::from("four")))
        });
        let request = Request::put("/").body(StreamBody::new(frames)).unwrap();
        left.parties.deliver(&left.party, request).await.unwrap();
        assert_eq!(read.load(Ordering::Relaxed), 4);
    }
}
