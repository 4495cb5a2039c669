//! Claimed jobs that their handlers release.

use std::{
    convert::Infallible,
    future::{pending, poll_fn},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use http_polling::{JobState, Progress};
use tokio::time::{Instant, sleep};
use tower::service_fn;
use tower_async_job_core::{
    Claim, ClaimQuery, Detail, JobId, JobRecord, MemoryStore, NewJob, Outside, RecordedOutcome,
    Release, ReplayedRequest, Start, StoredRequest,
};

use crate::{
    body::JobBody,
    context::handler::HandlerContext,
    layer::AsyncJobLayer,
    node::state::Node,
    run::{
        attempt::Run,
        terms::{Held, Rerun, Terms},
        work::put_off,
    },
    time::later,
};

const SECOND: Duration = Duration::from_secs(1);

fn node() -> Arc<Node> {
    let store = MemoryStore::builder()
        .clock(|| tokio::time::Instant::now().into_std())
        .lease_duration(30 * SECOND);
    let layer = AsyncJobLayer::builder().store(store.build());
    layer.build().expect("valid").front.node.clone()
}

/// Offers a job, and claims it.
async fn claimed(node: &Node) -> Claim {
    let request = StoredRequest::encode(&ReplayedRequest::default());
    let job = NewJob::new(JobId::random()).with_request(request);
    let created = node.store.create(job.with_start(Start::Offered)).await;
    created.expect("room");
    claim(node).await.expect("claimable")
}

async fn claim(node: &Node) -> Option<Claim> {
    let claims = node.store.claim(&ClaimQuery::new(1)).await.expect("memory");
    claims.jobs.into_iter().next()
}

async fn record(node: &Node, id: &JobId) -> JobRecord {
    let record = node.store.read(id, Detail::Full).await.expect("memory");
    record.expect("there")
}

fn terms(claim: &Claim, replayable: bool) -> Terms {
    Terms {
        handle: claim.handle,
        route: claim.route.clone(),
        label: None,
        principal: None,
        target: None,
        since: Instant::now(),
        deadline: later(claim.remaining),
        result_limit: None,
        restorable: None,
        rerun: match replayable {
            true => Rerun::Always,
            false => Rerun::Never,
        },
        held: Held::default(),
    }
}

/// Begins the run of a claimed job. Its handler reports half of the work, and answers with this extension.
fn begun(
    node: &Arc<Node>,
    claim: &Claim,
    release: Option<Release>,
    replayable: bool,
) -> Run<Full<Bytes>, Infallible> {
    let context = HandlerContext::new(claim.attempt);
    context.progress(0.5);
    let mut response = Response::new(Full::<Bytes>::from("the answer"));
    if let Some(release) = release {
        response.extensions_mut().insert(release);
    }
    let mut response = Some(response);
    let service = service_fn(move |_: Request<JobBody<Full<Bytes>>>| {
        let response = response.take().expect("called once");
        async { Ok::<_, Infallible>(response) }
    });
    let request = Request::new(JobBody::new(Full::default()));
    let work = put_off(service, request, None);
    let terms = terms(claim, replayable);
    let now = Instant::now();
    let mut run = Run::new(node.clone(), claim.lease, work, context, terms, now);
    run.announced();
    run
}

/// Runs a claimed job to its end, and returns its fate.
async fn run(
    node: &Arc<Node>,
    claim: &Claim,
    release: Option<Release>,
    replayable: bool,
) -> Option<&'static str> {
    let mut run = begun(node, claim, release, replayable);
    let end = poll_fn(|cx| run.poll(cx)).await;
    run.complete(end).await
}

fn is_the_answer(record: &JobRecord) -> bool {
    let Some(RecordedOutcome::Response(response)) = &record.outcome else {
        return false;
    };
    response.decode().expect("whole").body == "the answer"
}

#[tokio::test(start_paused = true)]
async fn run_that_ends_in_a_release_is_queued_again_and_its_attempt_given_back() {
    let node = node();
    let first = claimed(&node).await;
    let how = Release::default()
        .with_after(10 * SECOND)
        .with_counts(false);
    let fate = run(&node, &first, Some(how), true).await;
    assert_eq!(fate, Some("queued"));
    let queued = record(&node, &first.lease.id).await;
    assert_eq!((queued.state, queued.attempt), (JobState::Queued, 0));
    assert_eq!(queued.progress, None);
    sleep(10 * SECOND - Duration::from_millis(1)).await;
    assert!(claim(&node).await.is_none(), "too early");
    sleep(Duration::from_millis(1)).await;
    let second = claim(&node).await.expect("claimable");
    assert_eq!((second.lease.id, second.attempt), (first.lease.id, 1));
    run(&node, &second, None, true).await;
    let done = record(&node, &first.lease.id).await;
    assert_eq!((done.state, done.attempt), (JobState::Done, 1));
    assert!(is_the_answer(&done));
}

#[tokio::test(start_paused = true)]
async fn fate_of_a_cancelled_run_that_ends_in_a_release_is_the_cancellation() {
    let node = node();
    let claimed = claimed(&node).await;
    let mut run = begun(&node, &claimed, Some(Release::default()), true);
    let end = poll_fn(|cx| run.poll(cx)).await;
    let id = &claimed.lease.id;
    node.store.cancel(id).await.expect("memory");
    assert!(node.registry.cancel(id));
    assert_eq!(run.complete(end).await, Some("cancelled"));
}

#[tokio::test(start_paused = true)]
async fn releases_that_count_end_with_the_last_attempt() {
    let node = node();
    let mut claimed = claimed(&node).await;
    for attempt in 1..claimed.max_attempts {
        assert_eq!(claimed.attempt, attempt);
        run(&node, &claimed, Some(Release::default()), true).await;
        claimed = claim(&node).await.expect("claimable");
    }
    let fate = run(&node, &claimed, Some(Release::default()), true).await;
    assert_eq!(fate, Some("failed"));
    let failed = record(&node, &claimed.lease.id).await;
    assert_eq!(failed.state, JobState::Failed);
    assert!(claim(&node).await.is_none());
}

#[tokio::test(start_paused = true)]
async fn run_that_is_left_to_a_party_outside_keeps_its_last_report() {
    // The party needs no request.
    for replayable in [true, false] {
        let node = node();
        let claimed = claimed(&node).await;
        let outside = Outside::new("token", 600 * SECOND);
        let how = Release::default().with_outside(outside);
        let fate = run(&node, &claimed, Some(how), replayable).await;
        assert_eq!(fate, Some("running"));
        let running = record(&node, &claimed.lease.id).await;
        assert_eq!((running.state, running.attempt), (JobState::Running, 1));
        assert_eq!(running.progress, Some(Progress::fraction(0.5)));
        let resumed = node.store.resume(&claimed.lease.id, &outside.token).await;
        assert!(resumed.expect("memory").is_some());
    }
}

#[tokio::test(start_paused = true)]
async fn answer_is_the_answer_where_the_job_cannot_be_run_again() {
    let node = node();
    let claimed = claimed(&node).await;
    run(&node, &claimed, Some(Release::default()), false).await;
    assert!(is_the_answer(&record(&node, &claimed.lease.id).await));
}

/// Notes whether a job is still entered when this is dropped.
struct Noting(Arc<Node>, Arc<AtomicUsize>);

impl Drop for Noting {
    fn drop(&mut self) {
        let entered = self.0.registry.pending();
        self.1.fetch_add(entered, Ordering::SeqCst);
    }
}

#[tokio::test(start_paused = true)]
async fn run_that_is_dropped_releases_its_job_after_its_handler() {
    let node = node();
    let claim = claimed(&node).await;
    let entered = Arc::new(AtomicUsize::new(0));
    let noting = Noting(node.clone(), entered.clone());
    let service = service_fn(move |_: Request<JobBody<Full<Bytes>>>| {
        let _noting = &noting;
        pending::<Result<Response<Full<Bytes>>, Infallible>>()
    });
    let request = Request::new(JobBody::new(Full::default()));
    let work = put_off(service, request, None);
    let context = HandlerContext::new(claim.attempt);
    let terms = terms(&claim, true);
    let now = Instant::now();
    drop(Run::new(
        node.clone(),
        claim.lease,
        work,
        context,
        terms,
        now,
    ));
    assert_eq!(entered.load(Ordering::SeqCst), 1);
    assert_eq!(node.registry.pending(), 0);
}
