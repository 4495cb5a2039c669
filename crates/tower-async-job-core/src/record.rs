use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use http_polling::{JobState, Problem, Progress};

use crate::{
    JobHandle, JobId, Json, Lease, Outcome, Owner, Principal, Protocol, StoredRequest,
    StoredResponse,
};

/// How much of a job is to be read.
///
/// ```
/// use tower_async_job_core::Detail;
///
/// assert_ne!(Detail::Status, Detail::Full);
/// ```
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Detail {
    /// All but the outcome, which may be large.
    Status,
    /// The outcome too, where the job has ended.
    Full,
}

/// What a job that has ended left behind.
///
/// ```
/// use http_polling::{Problem, ProblemType};
/// use tower_async_job_core::{Outcome, RecordedOutcome};
///
/// let outcome = Outcome::TimedOut(Problem::new(ProblemType::JobTimedOut));
/// assert!(matches!(RecordedOutcome::from(outcome), RecordedOutcome::Problem(_)));
/// ```
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq)]
pub enum RecordedOutcome {
    /// The handler's answer, of a job that is done.
    Response(StoredResponse),
    /// What went wrong, of one that failed or ran out of time.
    Problem(Box<Problem>),
}

impl From<Outcome> for RecordedOutcome {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Done(response) => Self::Response(response),
            Outcome::Failed(problem) | Outcome::TimedOut(problem) => {
                Self::Problem(Box::new(problem))
            }
        }
    }
}

/// A job as the store has it.
///
/// Other than in tests, stores make these.
///
/// ```
/// use http_polling::JobState;
/// use tower_async_job_core::{JobHandle, JobId, JobRecord};
///
/// let mut record = JobRecord::new(JobId::random(), JobHandle::random(), JobState::Queued);
/// record.route = "/reports".into();
/// assert!(record.outcome.is_none());
/// ```
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq)]
pub struct JobRecord {
    /// The job's id.
    pub id: JobId,
    /// Its name in operators' lists.
    pub handle: JobHandle,
    /// Its state, by the store's clock: [`JobState::Expired`] from the moment its result may no
    /// longer be served.
    pub state: JobState,
    /// The epoch of its latest lease, or of its end.
    pub epoch: u64,
    /// How many runs have begun; 0 while it waits for its first.
    pub attempt: u32,
    /// Which kind of work it is.
    pub route: Arc<str>,
    /// The dress of its answers.
    pub protocol: Protocol,
    /// The only one who may read it. `None`: all that have the id.
    pub owner: Option<Owner>,
    /// When it was created, for people to read; never for reckoning.
    pub created: SystemTime,
    /// When its latest run began, for people to read.
    pub started: Option<SystemTime>,
    /// When it ended, for people to read.
    pub ended: Option<SystemTime>,
    /// The time since its creation, by the store's clock.
    pub age: Duration,
    /// How long its latest run has taken, until now or until its end, by the store's clock.
    pub running_for: Option<Duration>,
    /// How far it is, if its handler said.
    pub progress: Option<Progress>,
    /// Its result so far, if its handler gave one.
    pub partial: Option<Json>,
    /// The handler's own members of its status document, an object.
    pub metadata: Option<Json>,
    /// What it left behind: with [`Detail::Full`] only, and only once it has ended with a
    /// response or a problem of its own. A job that is lost, cancelled or expired has none.
    pub outcome: Option<RecordedOutcome>,
}

impl JobRecord {
    /// A record of which no more is known than this, for stores to fill.
    pub fn new(id: JobId, handle: JobHandle, state: JobState) -> Self {
        Self {
            id,
            handle,
            state,
            epoch: 1,
            attempt: 0,
            route: Arc::default(),
            protocol: Protocol::default(),
            owner: None,
            created: SystemTime::UNIX_EPOCH,
            started: None,
            ended: None,
            age: Duration::ZERO,
            running_for: None,
            progress: None,
            partial: None,
            metadata: None,
            outcome: None,
        }
    }

    /// Returns whether this principal may know of the job.
    ///
    /// ```
    /// use http_polling::JobState;
    /// use tower_async_job_core::{JobHandle, JobId, JobRecord, Owner, Principal};
    ///
    /// let mut record = JobRecord::new(JobId::random(), JobHandle::random(), JobState::Done);
    /// assert!(record.is_visible_to(None));
    /// record.owner = Some(Owner::Named(Principal::new("tenant-7")));
    /// assert!(!record.is_visible_to(None));
    /// ```
    pub fn is_visible_to(&self, principal: Option<&Principal>) -> bool {
        let is_owner = |owner: &Owner| principal.is_some_and(|principal| owner.is(principal));
        self.owner.as_ref().is_none_or(is_owner)
    }
}

/// What came of [creating](crate::JobStore::create) a job.
///
/// ```
/// use tower_async_job_core::{Created, JobId, Lease};
///
/// let created = Created::New(Lease::new(JobId::random(), 1));
/// assert!(matches!(created, Created::New(lease) if lease.epoch == 1));
/// ```
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq)]
pub enum Created {
    /// It is stored, and the caller holds the right to run it.
    New(Lease),
    /// The same submission made a job before; this is it, as of [`Detail::Status`]. One whose result
    /// was dropped before its retention was over is [`JobState::Expired`].
    Existing(Box<JobRecord>),
    /// Another submission of the same principal bears the same idempotency key.
    KeyReused,
}

/// What came of [cancelling](crate::JobStore::cancel) a job.
///
/// ```
/// use http_polling::JobState;
/// use tower_async_job_core::Cancellation;
///
/// let late = Cancellation::Ended(JobState::Done);
/// assert_ne!(late, Cancellation::Cancelled);
/// ```
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cancellation {
    /// It was pending and is cancelled now; its lease is void.
    Cancelled,
    /// It had ended already, in this state, and stays as it is.
    Ended(JobState),
    /// There is no such job.
    Unknown,
}

/// A job to be run again, with the right to do so.
///
/// ```
/// use tower_async_job_core::{Claim, JobHandle, JobId, Lease, ReplayedRequest, StoredRequest};
///
/// let request = StoredRequest::encode(&ReplayedRequest::default());
/// let claim = Claim::new(Lease::new(JobId::random(), 2), JobHandle::random(), request);
/// assert_eq!(claim.attempt, 1);
/// ```
#[non_exhaustive]
#[derive(Clone, Debug)]
pub struct Claim {
    /// The right to run it.
    pub lease: Lease,
    /// Its name in operators' lists.
    pub handle: JobHandle,
    /// The request to run.
    pub request: StoredRequest,
    /// Which run this is; the first is 1.
    pub attempt: u32,
    /// How many runs may be begun in all.
    pub max_attempts: u32,
    /// Which kind of work it is.
    pub route: Arc<str>,
    /// The dress of its answers.
    pub protocol: Protocol,
    /// Whom it belongs to.
    pub principal: Option<Principal>,
    /// When it was created, for people to read.
    pub created: SystemTime,
    /// The time since its creation, by the store's clock.
    pub age: Duration,
    /// How long it may take, from its creation: what is left is this less the age.
    pub deadline: Duration,
}

impl Claim {
    /// A claim of which no more is known than this, for stores to fill.
    pub fn new(lease: Lease, handle: JobHandle, request: StoredRequest) -> Self {
        Self {
            lease,
            handle,
            request,
            attempt: 1,
            max_attempts: 1,
            route: Arc::default(),
            protocol: Protocol::default(),
            principal: None,
            created: SystemTime::UNIX_EPOCH,
            age: Duration::ZERO,
            deadline: Duration::from_secs(3600),
        }
    }
}
