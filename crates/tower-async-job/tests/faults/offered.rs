//! Jobs that the store offers to all workers, though this node was to run them.

use std::sync::{Arc, atomic::Ordering};

use crate::{
    builder,
    support::{SECOND, eager, get, memory, path_of, post, send, settle, slow, watched, with, wrap},
};
use http::{HeaderMap, StatusCode};
use tokio::time::sleep;
use tower_async_job::store::{
    ClaimQuery, Created, JobStore, MemoryStore, NewJob, Outcome, ReplayedRequest, Start,
    StoreFuture, StoredRequest, StoredResponse,
};
use tower_async_job_testkit::{Interpose, Interposed};

/// A store that offers every job.
#[derive(Debug)]
struct Offering(MemoryStore);

impl Interpose for Offering {
    fn inner(&self) -> &dyn JobStore {
        &self.0
    }

    fn create<'a>(&'a self, job: NewJob) -> StoreFuture<'a, Created> {
        let request = StoredRequest::encode(&ReplayedRequest::default());
        self.0
            .create(job.with_request(request).with_start(Start::Offered))
    }
}

fn store() -> Arc<Interposed<Offering>> {
    Arc::new(Interposed::new(Offering(memory().build())))
}

/// Runs the offered job as another node does.
async fn run_elsewhere(store: &dyn JobStore) {
    let claims = store.claim(&ClaimQuery::new(1)).await.expect("memory");
    let claim = claims.jobs.first().expect("an offered job");
    let mut answer = StoredResponse::recorder(StatusCode::OK, &HeaderMap::new(), 100);
    answer.push(b"from elsewhere").expect("short");
    let end = Outcome::Done(answer.finish(None)).into();
    store.finish(&claim.lease, end).await.expect("memory");
}

#[tokio::test(start_paused = true)]
async fn offered_job_is_accepted_and_not_run_here() {
    let store = store();
    let (handler, lifeline, _) = watched(60 * SECOND, "late");
    let service = wrap(&eager(builder().store(store.clone())), handler);
    let accepted = send(&service, post("/report")).await.pending();
    assert_eq!(accepted.header("job-status"), "queued");
    settle().await;
    assert!(!lifeline.is_alive());
    let job = path_of(accepted.location());
    assert_eq!(
        send(&service, get(job)).await.header("job-status"),
        "queued"
    );
    run_elsewhere(&*store).await;
    assert_eq!(send(&service, get(job)).await.body, "from elsewhere");
}

#[tokio::test(start_paused = true)]
async fn client_of_a_key_whose_job_is_offered_waits_as_for_a_repeat() {
    let store = store();
    let (handler, _, ended) = watched(SECOND, "from here");
    let service = wrap(&eager(builder().store(store.clone())), handler);
    let keyed = with(post("/report"), "idempotency-key", "k");
    let keyed = with(keyed, "prefer", "wait=10");
    let answer = tokio::spawn(async move { send(&service, keyed).await });
    sleep(2 * SECOND).await;
    run_elsewhere(&*store).await;
    assert_eq!(answer.await.expect("no panic").body, "from elsewhere");
    assert_eq!(ended.load(Ordering::SeqCst), 0);
}

/// The acceptance and the end of the wait race.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn offered_job_of_a_key_is_never_announced_as_running() {
    let service = wrap(&eager(builder().store(store())), slow(60 * SECOND, "late"));
    for n in 0..4000 {
        let mut request = post("/report");
        let key = format!("k{n}").parse().expect("valid");
        request.headers_mut().insert("idempotency-key", key);
        let accepted = send(&service, request).await.pending();
        assert_eq!(accepted.header("job-status"), "queued");
    }
}
