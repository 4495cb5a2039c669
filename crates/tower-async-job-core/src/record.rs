use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use http_polling::{JobState, Problem, Progress};

use crate::{
    id::{JobHandle, JobId},
    job::{PendingStatus, Protocol},
    json::Json,
    lease::Lease,
    message::StoredResponse,
    owner::{Owner, Principal},
};

/// The parts of a job that are to be read.
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
    /// The outcome too, where the job has ended; of a response its head only, as HEAD needs it. A
    /// store for which the body is no more work may give it as well.
    Head,
    /// The outcome too, where the job has ended.
    Full,
}

/// The outcome that an ended job left behind.
///
/// ```
/// use http_polling::{Problem, ProblemType};
/// use tower_async_job_core::RecordedOutcome;
///
/// let outcome = RecordedOutcome::Problem(Box::new(Problem::new(ProblemType::JobTimedOut)));
/// assert!(matches!(outcome, RecordedOutcome::Problem(_)));
/// ```
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq)]
pub enum RecordedOutcome {
    /// The handler's answer, of a job that is done.
    Response(StoredResponse),
    /// The handler's answer without its body, which is [read](crate::JobStore::read_chunk) in
    /// chunks, or was not asked for; see [`JobRecord::result`].
    Head(StoredResponse),
    /// The problem of a job that failed or ran out of time.
    Problem(Box<Problem>),
}

/// The stored body of a response, without its bytes.
///
/// ```
/// use tower_async_job_core::{JobId, Lease, ResultRef};
///
/// let result = ResultRef::new(Lease::new(JobId::random(), 1), 11);
/// assert_eq!((result.len, result.chunks), (11, None));
/// ```
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResultRef {
    /// The lease of the run that wrote it.
    pub lease: Lease,
    /// The length of the body in bytes.
    pub len: u64,
    /// The number of chunks that it is stored in. `None` if it is one piece with its head.
    pub chunks: Option<u32>,
}

impl ResultRef {
    /// Makes a reference to a body that is one piece with its head.
    pub const fn new(lease: Lease, len: u64) -> Self {
        Self {
            lease,
            len,
            chunks: None,
        }
    }

    /// Sets the number of chunks that it is stored in.
    #[must_use]
    pub const fn with_chunks(mut self, chunks: u32) -> Self {
        self.chunks = Some(chunks);
        self
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
    /// A number that rises with each change that a record shows, from its creation to its expiry,
    /// other than by the passing of time. It fits into 53 bits.
    pub version: u64,
    /// The epoch of its latest lease, or of its end.
    pub epoch: u64,
    /// The number of runs that have begun; 0 while it waits for its first.
    pub attempt: u32,
    /// The kind of work.
    pub route: Arc<str>,
    /// The protocol of its answers.
    pub protocol: Protocol,
    /// The status of its announcements.
    pub pending_status: PendingStatus,
    /// The only principal that may read it. `None`: every client that has the id.
    pub owner: Option<Owner>,
    /// The time of its creation, for people to read; never for reckoning.
    pub created: SystemTime,
    /// The time at which its latest run began, for people to read.
    pub started: Option<SystemTime>,
    /// The time of its end, for people to read.
    pub ended: Option<SystemTime>,
    /// The time since its creation, by the store's clock.
    pub age: Duration,
    /// The time that its latest run has taken, until now or until its end, by the store's clock.
    pub running_for: Option<Duration>,
    /// Its progress, if its handler said.
    pub progress: Option<Progress>,
    /// Its result so far, if its handler gave one.
    pub partial: Option<Json>,
    /// The handler's own members of its status document, an object.
    pub metadata: Option<Json>,
    /// The body of the response that it left behind, in every [`Detail`].
    pub result: Option<ResultRef>,
    /// The outcome that it left behind: not with [`Detail::Status`], and only once it has ended
    /// with a response or a problem of its own. A job that is lost, cancelled or expired has none.
    pub outcome: Option<RecordedOutcome>,
}

impl JobRecord {
    /// Makes a record of which no more is known than this, for stores to fill.
    pub fn new(id: JobId, handle: JobHandle, state: JobState) -> Self {
        Self {
            id,
            handle,
            state,
            version: 1,
            epoch: 1,
            attempt: 0,
            route: Arc::default(),
            protocol: Protocol::default(),
            pending_status: PendingStatus::default(),
            owner: None,
            created: SystemTime::UNIX_EPOCH,
            started: None,
            ended: None,
            age: Duration::ZERO,
            running_for: None,
            progress: None,
            partial: None,
            metadata: None,
            result: None,
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

/// The result of [creating](crate::JobStore::create) a job.
///
/// ```
/// use std::time::SystemTime;
/// use tower_async_job_core::{Created, JobId, Lease};
///
/// let lease = Lease::new(JobId::random(), 1);
/// let created = Created::New { lease, created: SystemTime::UNIX_EPOCH };
/// assert!(matches!(created, Created::New { lease, .. } if lease.epoch == 1));
/// ```
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq)]
pub enum Created {
    /// It is stored, and the caller holds the right to run it.
    New {
        /// The right to run it.
        lease: Lease,
        /// The time of its creation, as its record shows it.
        created: SystemTime,
    },
    /// It is stored, and [offered](crate::Start::Offered) to all workers.
    Offered {
        /// The time of its creation, as its record shows it.
        created: SystemTime,
    },
    /// The same submission made a job before; this is it, as of [`Detail::Status`]. One whose result
    /// was dropped before its retention was over is [`JobState::Expired`].
    Existing(Box<JobRecord>),
    /// Another submission of the same principal bears the same idempotency key.
    KeyReused,
}

/// The result of [cancelling](crate::JobStore::cancel) a job.
///
/// ```
/// use http_polling::JobState;
/// use tower_async_job_core::Cancellation;
///
/// let late = Cancellation::Ended(JobState::Done);
/// assert_ne!(late, Cancellation::Unknown);
/// ```
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cancellation {
    /// It was pending and is cancelled now; its lease is void.
    Cancelled {
        /// The time of its end, as its record shows it.
        ended: SystemTime,
    },
    /// It had ended already, in this state, and stays as it is.
    Ended(JobState),
    /// There is no such job.
    Unknown,
}
