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
    version,
};

/// The parts of a job to read.
///
/// ```
/// use tower_async_job_core::Detail;
///
/// assert_ne!(Detail::Status, Detail::Full);
/// ```
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Detail {
    /// Everything except the outcome, which may be large.
    Status,
    /// The outcome too, if the job has ended; of a response only its head, for HEAD. A store may
    /// include the body if that costs nothing.
    Head,
    /// The outcome too, if the job has ended.
    Full,
}

/// The outcome of an ended job.
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
    /// The handler's answer, if the job is done.
    Response(StoredResponse),
    /// The handler's answer without its body, which is [read](crate::JobStore::read_chunk) in
    /// chunks or was not requested; see [`JobRecord::result`].
    Head(StoredResponse),
    /// The problem, if the job failed, timed out, or was lost by its own run.
    Problem(Box<Problem>),
}

/// A reference to the stored body of a response.
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
    /// The number of its chunks. `None` if it is one piece with its head.
    pub chunks: Option<u32>,
}

impl ResultRef {
    /// Creates a reference to a body that is one piece with its head.
    pub const fn new(lease: Lease, len: u64) -> Self {
        Self {
            lease,
            len,
            chunks: None,
        }
    }

    /// Sets the number of its chunks.
    #[must_use]
    pub const fn with_chunks(mut self, chunks: u32) -> Self {
        self.chunks = Some(chunks);
        self
    }
}

/// A stored job. Except in tests, stores create these.
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
    /// A number that rises with each visible change of the record, from its creation to its expiry,
    /// but not with the passing of time. It fits into 53 bits.
    pub version: u64,
    /// The epoch of its latest lease, or of its end.
    pub epoch: u64,
    /// The number of runs that have begun; 0 before the first.
    pub attempt: u32,
    /// The job's route.
    pub route: Arc<str>,
    /// The protocol of its answers.
    pub protocol: Protocol,
    /// The status of its announcements.
    pub pending_status: PendingStatus,
    /// The only principal that may read it. `None`: every client that has the id.
    pub owner: Option<Owner>,
    /// The time of its creation, for people to read; never for computations.
    pub created: SystemTime,
    /// The time at which its latest run began, for people to read.
    pub started: Option<SystemTime>,
    /// The time of its end, for people to read.
    pub ended: Option<SystemTime>,
    /// The time since its creation, by the store's clock.
    pub age: Duration,
    /// The duration of its latest run, until now or until its end, by the store's clock.
    pub running_for: Option<Duration>,
    /// The time until its lease ends unless it is renewed, by the store's clock: zero once it has
    /// ended and no node has noticed. `None` if no node has the job, or if leases last as long as the
    /// process. If that clock was set back, it may exceed a lease until the next
    /// [sweep](crate::JobStore::sweep).
    pub lease_remaining: Option<Duration>,
    /// Its progress, if reported.
    pub progress: Option<Progress>,
    /// Its partial result, if reported.
    pub partial: Option<Json>,
    /// The handler's own members of its status document, an object.
    pub metadata: Option<Json>,
    /// The state of its [notification](crate::NewJob::notify), if it has ended with one, until it expires.
    pub notification: Option<NotificationStatus>,
    /// The body of its response, in every [`Detail`].
    pub result: Option<ResultRef>,
    /// Its outcome: not with [`Detail::Status`], and only if it ended with a response or a problem.
    /// A job that is lost with its worker, cancelled or expired has none.
    pub outcome: Option<RecordedOutcome>,
}

/// The state of the notification of a job that has ended.
///
/// ```
/// use tower_async_job_core::NotificationStatus;
///
/// let again = NotificationStatus::new(1, true);
/// assert_eq!((again.attempts, again.is_due), (1, true));
/// ```
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotificationStatus {
    /// The number of attempts that have begun.
    pub attempts: u32,
    /// A further attempt is due, now or later. Otherwise the notification is completed.
    pub is_due: bool,
}

impl NotificationStatus {
    /// Creates the state of a notification.
    pub const fn new(attempts: u32, is_due: bool) -> Self {
        Self { attempts, is_due }
    }
}

impl JobRecord {
    /// Creates a record with defaults for all other fields, for stores to fill.
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
            lease_remaining: None,
            progress: None,
            partial: None,
            metadata: None,
            notification: None,
            result: None,
            outcome: None,
        }
    }

    /// Returns the [version](Self::version) of a job in this state, by the epoch of its latest lease,
    /// whether its first run has begun, and the number of its reports.
    ///
    /// It rises with each of these, and above all of them with the end and with the expiry.
    ///
    /// ```
    /// use http_polling::JobState;
    /// use tower_async_job_core::JobRecord;
    ///
    /// let queued = JobRecord::version_of(JobState::Queued, 1, false, 0);
    /// let running = JobRecord::version_of(JobState::Running, 1, true, 0);
    /// let reported = JobRecord::version_of(JobState::Running, 1, true, 1);
    /// let done = JobRecord::version_of(JobState::Done, 1, false, 1);
    /// let expired = JobRecord::version_of(JobState::Expired, 1, false, 0);
    /// assert!([queued, running, reported, done, expired].is_sorted_by(|a, b| a < b));
    /// ```
    pub fn version_of(state: JobState, epoch: u64, is_running: bool, reports: u64) -> u64 {
        version::version_of(state, epoch, is_running, reports)
    }

    /// Returns the version of a job that a store no longer has and shows as [`JobState::Lost`], by
    /// the latest version that may have been read. It is above that of any end with as many changes.
    ///
    /// ```
    /// use http_polling::JobState;
    /// use tower_async_job_core::JobRecord;
    ///
    /// let latest = JobRecord::version_of(JobState::Running, 3, true, 100);
    /// let done = JobRecord::version_of(JobState::Done, 3, true, 100);
    /// assert!(JobRecord::version_of_lost(latest) > done && done > latest);
    /// ```
    pub fn version_of_lost(latest: u64) -> u64 {
        version::version_of_lost(latest)
    }

    /// Returns whether this principal may see the job.
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
    /// The job is stored, and the caller holds the right to run it.
    New {
        /// The right to run it.
        lease: Lease,
        /// The time of its creation, as its record shows it.
        created: SystemTime,
    },
    /// The job is stored, and [offered](crate::Start::Offered) to all workers.
    Offered {
        /// The time of its creation, as its record shows it.
        created: SystemTime,
    },
    /// The same submission created this job before, returned with [`Detail::Status`]. It is
    /// [`JobState::Expired`] if its result was dropped before its retention was over.
    Existing(Box<JobRecord>),
    /// A different submission of the same principal has the same idempotency key.
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
    /// The job was pending and is now cancelled; its lease is void.
    Cancelled {
        /// The time of its end, as its record shows it.
        ended: SystemTime,
    },
    /// The job had already ended in this state, and is unchanged.
    Ended(JobState),
    /// There is no such job.
    Unknown,
}
