use http_polling::JobState;
use tokio::time::sleep;
use tower_async_job_core::{
    ClaimQuery, Detail, JobId, MemoryStore, NewJob, Release, ReplayedRequest, StoredRequest,
};

use super::*;
use crate::{layer::AsyncJobLayer, time::later};

const SECOND: Duration = Duration::from_secs(1);

fn register(node: &Arc<Node>, lease: Lease) -> (Registration, JobContext) {
    let context = JobContext::new(1);
    let job = Registered {
        principal: None,
        label: None,
        deadline: later(600 * SECOND),
        since: Instant::now(),
        queued: false,
    };
    let registration = Registration::new(node.clone(), lease, context.clone(), job);
    (registration, context)
}

#[tokio::test(start_paused = true)]
async fn s08_a_job_that_is_claimed_again_in_its_old_run_s_process_keeps_the_new_lease() {
    let store = MemoryStore::builder()
        .clock(|| tokio::time::Instant::now().into_std())
        .lease_duration(30 * SECOND);
    let store = Arc::new(store.build());
    let layer = AsyncJobLayer::builder().store(store.clone());
    let node = &layer.build().expect("valid").front.node;
    let request = StoredRequest::encode(&ReplayedRequest::default());
    let job = NewJob::new(JobId::random()).with_request(request);
    let (id, first) = (job.id, job.first_lease());
    node.store.create(job).await.expect("room");
    let (old, _) = register(node, first);
    // It was released without the run's knowledge, such as after a pause of the whole process.
    let released = node.store.release(&[first], Release::default()).await;
    assert_eq!(released.expect("memory"), [Released::Queued]);
    let claims = node.store.claim(&ClaimQuery::new(1)).await.expect("memory");
    let second = claims.jobs[0].lease;
    assert!(second.epoch > first.epoch);
    let (new, context) = register(node, second);
    sleep(SECOND).await;
    drop(old);
    sleep(100 * SECOND).await;
    assert!(!context.is_cancelled());
    let record = node.store.read(&id, Detail::Status).await.expect("memory");
    let record = record.expect("there");
    assert_eq!(
        (record.state, record.epoch),
        (JobState::Running, second.epoch)
    );
    new.end();
}
