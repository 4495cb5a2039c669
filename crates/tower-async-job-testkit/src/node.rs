//! A node of the store under test, with helpers for the calls of most tests.

use std::{ops::Deref, sync::Arc, time::Duration};

use http::{HeaderMap, StatusCode};
use http_polling::{JobState, Problem, ProblemType};
use tower_async_job_core::{
    Claim, ClaimQuery, Created, Detail, End, IdempotencyKey, JobId, JobRecord, JobStore, Lease,
    NewJob, Outcome, Principal, Release, Released, ReplayedRequest, Report, Start, StoreError,
    StoredRequest, StoredResponse, Subscription, SweepQuery, Upkeep,
};

use crate::harness::{Harness, NotRun};

pub(crate) const SECOND: Duration = Duration::from_secs(1);
pub(crate) const HOUR: Duration = Duration::from_secs(3600);

/// The shortest time that counts.
pub(crate) const MOMENT: Duration = Duration::from_micros(1);

/// The time after which a waiter should have been woken.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// The result of a test, which fails by panicking.
pub(crate) type Ran = Result<(), NotRun>;

/// A handle to the store.
#[derive(Clone, Debug)]
pub(crate) struct Node(Arc<dyn JobStore>);

impl Deref for Node {
    type Target = dyn JobStore;

    fn deref(&self) -> &Self::Target {
        &*self.0
    }
}

impl Node {
    /// Returns the first node of the store.
    pub(crate) fn of(harness: &dyn Harness) -> Self {
        Self(harness.store())
    }

    /// Returns another node of the same store.
    pub(crate) async fn second(harness: &dyn Harness) -> Result<Self, NotRun> {
        Ok(Self(harness.second().await?))
    }

    /// Crashes the store, and returns the node after it.
    pub(crate) async fn after_crash(harness: &dyn Harness) -> Result<Self, NotRun> {
        Ok(Self(harness.crash().await?))
    }

    /// Returns the duration of a lease.
    pub(crate) fn lease(&self) -> Result<Duration, NotRun> {
        let unending = NotRun::because("the leases of the store have no end");
        self.properties().lease.ok_or(unending)
    }

    /// Returns a job with an id from the store.
    pub(crate) fn job(&self) -> NewJob {
        NewJob::new(self.new_id(None, None))
    }

    /// Returns a job that may be re-run.
    pub(crate) fn replayable(&self) -> NewJob {
        let request = StoredRequest::encode(&ReplayedRequest::default());
        self.job().with_request(request)
    }

    /// Returns a job with an idempotency key and the fingerprint of its request.
    pub(crate) fn keyed(&self, text: &str, fingerprint: u8) -> NewJob {
        self.with_key(self.job(), key(text, fingerprint))
    }

    /// Returns a job of a principal with an idempotency key.
    pub(crate) fn keyed_of(&self, owner: Principal, text: &str, fingerprint: u8) -> NewJob {
        let job = self.job().with_principal(owner);
        self.with_key(job, key(text, fingerprint))
    }

    /// Sets the key of a job, and the id that the store generates for both.
    pub(crate) fn with_key(&self, mut job: NewJob, key: IdempotencyKey) -> NewJob {
        job.id = self.new_id(Some(&key), job.principal.as_ref());
        job.with_idempotency(key)
    }

    /// Creates a job, which must be new.
    pub(crate) async fn add(&self, job: NewJob) -> Lease {
        match self.create(job).await {
            Ok(Created::New { lease, .. }) => lease,
            other => panic!("no job was made: {other:?}"),
        }
    }

    /// Offers a job, which must be new, to all workers.
    pub(crate) async fn offer(&self, job: NewJob) -> JobId {
        let job = job.with_start(Start::Offered);
        let id = job.id;
        match self.create(job).await {
            Ok(Created::Offered { .. }) => id,
            other => panic!("no job was offered: {other:?}"),
        }
    }

    /// Repeats the create of a job, and returns the record in the answer.
    pub(crate) async fn add_again(&self, job: NewJob) -> Box<JobRecord> {
        match self.create(job).await {
            Ok(Created::Existing(record)) => record,
            other => panic!("the job was not found: {other:?}"),
        }
    }

    /// Creates a job that ends immediately with a result of this length.
    pub(crate) async fn add_ended(&self, job: NewJob, bytes: usize) -> Lease {
        let lease = self.add(job).await;
        self.end(&lease, done(&vec![0; bytes])).await.unwrap();
        lease
    }

    /// Reads the whole job.
    pub(crate) async fn record(&self, id: &JobId) -> Option<JobRecord> {
        self.read(id, Detail::Full).await.unwrap()
    }

    /// Reads the whole job, which must be there.
    pub(crate) async fn known(&self, id: &JobId) -> JobRecord {
        self.record(id).await.expect("the job is known")
    }

    /// Reads the state of a job.
    pub(crate) async fn state(&self, id: &JobId) -> Option<JobState> {
        self.record(id).await.map(|record| record.state)
    }

    /// Finishes a job.
    pub(crate) async fn end(&self, lease: &Lease, end: impl Into<End>) -> Result<(), StoreError> {
        self.finish(lease, end.into()).await
    }

    /// Finishes a job, which must fail with a lost lease.
    pub(crate) async fn end_is_fenced(&self, lease: &Lease, end: impl Into<End>) {
        assert_lost(self.end(lease, end).await);
    }

    /// Claims any work, at most `limit` jobs.
    pub(crate) async fn claim_some(&self, limit: usize) -> Vec<Claim> {
        self.claim_by(&ClaimQuery::new(limit)).await
    }

    /// Claims what the query asks for.
    pub(crate) async fn claim_by(&self, query: &ClaimQuery) -> Vec<Claim> {
        self.claim(query).await.unwrap().jobs
    }

    /// Claims the one job that can be claimed.
    pub(crate) async fn claim_one(&self) -> Claim {
        let mut claims = self.claim_some(9).await;
        let claim = claims.pop().expect("a job can be claimed");
        assert!(claims.is_empty(), "more than one job was claimed");
        claim
    }

    /// Claims work, of which there must be none.
    pub(crate) async fn claim_none(&self) {
        let claims = self.claim_some(9).await;
        assert!(claims.is_empty(), "{claims:?}");
    }

    /// Releases one lease.
    pub(crate) async fn release_one(&self, lease: &Lease, how: Release) -> Released {
        let released = self.release(std::slice::from_ref(lease), how).await;
        let [released] = released.unwrap()[..] else {
            panic!("one lease was given up");
        };
        released
    }

    /// Stores a report.
    pub(crate) async fn say(&self, lease: &Lease, report: Report) {
        self.report(lease, report).await.unwrap();
    }

    /// Sweeps until no change is due.
    pub(crate) async fn sweep_all(&self) -> Upkeep {
        let (mut lost, mut ended) = (0, Vec::new());
        loop {
            let mut upkeep = self.sweep(&SweepQuery::default()).await.unwrap();
            lost += upkeep.lost;
            upkeep.lost = lost;
            ended.append(&mut upkeep.ended);
            if upkeep.next != Some(Duration::ZERO) {
                upkeep.ended = ended;
                return upkeep;
            }
        }
    }

    /// Subscribes to the end of a pending job, and replaces subscriptions that resolve early.
    pub(crate) async fn waits(&self, id: &JobId) -> Subscription {
        for _ in 0..100 {
            let mut ended = self.subscribe(id);
            let early = tokio::time::timeout(Duration::from_millis(5), &mut ended);
            if early.await.is_err() {
                return ended;
            }
        }
        panic!("no subscription waits for the end of a job that is pending");
    }

    /// Waits for the end of a job.
    pub(crate) async fn see_end(&self, id: &JobId) {
        wakes(self.subscribe(id), "the end of a job").await;
    }
}

/// Asserts that a subscription resolves.
pub(crate) async fn wakes(subscription: Subscription, event: &str) {
    let woken = tokio::time::timeout(PATIENCE, subscription).await;
    assert!(woken.is_ok(), "{event} wakes nobody");
}

#[track_caller]
pub(crate) fn assert_lost<T: std::fmt::Debug>(result: Result<T, StoreError>) {
    match result {
        Err(error) if error.is_lease_lost() => {}
        other => panic!("a write without a lease: {other:?}"),
    }
}

pub(crate) fn key(text: &str, fingerprint: u8) -> IdempotencyKey {
    IdempotencyKey::new(text, [fingerprint; 32]).unwrap()
}

pub(crate) fn done(body: &[u8]) -> Outcome {
    Outcome::Done(response(body))
}

pub(crate) fn response(body: &[u8]) -> StoredResponse {
    let mut recorder = StoredResponse::recorder(StatusCode::OK, &HeaderMap::new(), body.len());
    recorder.push(body).unwrap();
    recorder.finish(None)
}

pub(crate) fn failed() -> Outcome {
    Outcome::Failed(Problem::new(ProblemType::JobFailed))
}
