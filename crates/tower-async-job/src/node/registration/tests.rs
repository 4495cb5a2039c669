use http_polling::JobState;
use tokio::time::sleep;
use tower_async_job_core::{
    Claim, ClaimQuery, Detail, JobId, MemoryStore, NewJob, Release, ReplayedRequest, StoredRequest,
};

use super::*;
use crate::{layer::AsyncJobLayer, time::later};

const SECOND: Duration = Duration::from_secs(1);

fn register(node: &Arc<Node>, lease: Lease) -> (Registration, JobContext) {
    let context = JobContext::new(1);
    let job = Registered {
        handle: JobHandle::from_bits(1),
        principal: None,
        label: None,
        deadline: later(600 * SECOND),
        since: Instant::now(),
        queued: false,
    };
    let registration = Registration::new(node.clone(), lease, context.clone(), job);
    (registration, context)
}

/// Returns a node, and a job that it runs and that may be re-run.
async fn running() -> (Arc<Node>, Lease) {
    let store = MemoryStore::builder()
        .clock(|| tokio::time::Instant::now().into_std())
        .lease_duration(30 * SECOND);
    let layer = AsyncJobLayer::builder().store(store.build());
    let node = layer.build().expect("valid").front.node.clone();
    let request = StoredRequest::encode(&ReplayedRequest::default());
    let job = NewJob::new(JobId::random()).with_request(request);
    let lease = job.first_lease();
    node.store.create(job).await.expect("room");
    (node, lease)
}

async fn claim(node: &Node) -> Claim {
    let claims = node.store.claim(&ClaimQuery::new(1)).await;
    claims.expect("memory").jobs.remove(0)
}

#[tokio::test(start_paused = true)]
async fn s08_a_job_that_is_claimed_again_in_the_process_of_its_old_run_keeps_the_new_lease() {
    let (node, first) = running().await;
    let (old, _) = register(&node, first);
    // It was released without the run's knowledge, such as after a pause of the whole process.
    let released = node.store.release(&[first], Release::default()).await;
    assert_eq!(released.expect("memory"), [Released::Queued]);
    let second = claim(&node).await.lease;
    assert!(second.epoch > first.epoch);
    let (new, context) = register(&node, second);
    sleep(SECOND).await;
    drop(old);
    sleep(100 * SECOND).await;
    assert!(!context.is_cancelled());
    let read = node.store.read(&first.id, Detail::Status).await;
    let record = read.expect("memory").expect("there");
    assert_eq!(
        (record.state, record.epoch),
        (JobState::Running, second.epoch)
    );
    new.end();
}

#[tokio::test(start_paused = true)]
async fn s39_a_job_that_a_shutdown_releases_has_its_attempt_back() {
    for (shuts_down, attempt) in [(true, 1), (false, 2)] {
        let (node, lease) = running().await;
        let (mut job, _) = register(&node, lease);
        job.announced();
        if shuts_down {
            node.give_up().await;
        }
        let how = job.terms_of_release();
        let released = job.release(how).expect("a runtime").await;
        assert_eq!(released, Ok(Released::Queued));
        assert_eq!(claim(&node).await.attempt, attempt);
    }
}
