use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use http_polling::JobState;

use crate::{
    error::StoreError,
    id::JobHandle,
    job::{PendingStatus, Protocol, Retention},
    lease::Lease,
    message::StoredRequest,
    owner::Principal,
};

/// The kind of task that is claimed.
///
/// ```
/// use tower_async_job_core::ClaimKind;
///
/// assert_eq!(ClaimKind::default(), ClaimKind::Work);
/// ```
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ClaimKind {
    /// Runs of jobs.
    #[default]
    Work,
    /// Due [notifications](crate::NewJob::notify) of ended jobs.
    Notify,
}

/// A request for claims.
///
/// ```
/// use tower_async_job_core::ClaimQuery;
///
/// let query = ClaimQuery::new(8).with_routes(["/reports"]);
/// assert_eq!((query.limit, query.max_bytes), (8, 16 << 20));
/// ```
#[non_exhaustive]
#[derive(Clone, Debug)]
pub struct ClaimQuery {
    /// The kind of task. [`ClaimKind::Work`] by default.
    pub kind: ClaimKind,
    /// The maximum number of jobs. With 0, nothing is claimed, and [`Claims::next`] tells only when
    /// later tasks become claimable: it is never zero.
    pub limit: usize,
    /// The maximum bytes of requests or notifications together, though one claim is always allowed.
    /// 16 MiB by default.
    pub max_bytes: usize,
    /// The routes of the jobs. `None`, the default: all.
    pub routes: Option<Vec<Arc<str>>>,
    /// The newest [format](StoredRequest::FORMAT) of requests that the worker can read; jobs with
    /// later ones are not claimed. By default, the newest that this build can read.
    pub newest_format: u8,
    /// The latest time that the store's clock is expected to show: if it shows a later one, nothing
    /// is claimed or changed; see [`SweepQuery::not_after`](crate::SweepQuery::not_after). `None`,
    /// the default: any time.
    pub not_after: Option<SystemTime>,
}

impl ClaimQuery {
    /// Creates a query for runs of at most `limit` jobs, with the defaults above.
    pub fn new(limit: usize) -> Self {
        Self {
            kind: ClaimKind::Work,
            limit,
            max_bytes: 16 << 20,
            routes: None,
            newest_format: StoredRequest::FORMAT,
            not_after: None,
        }
    }

    /// Sets the kind.
    #[must_use]
    pub fn with_kind(mut self, kind: ClaimKind) -> Self {
        self.kind = kind;
        self
    }

    /// Sets the maximum bytes.
    #[must_use]
    pub fn with_max_bytes(mut self, bytes: usize) -> Self {
        self.max_bytes = bytes;
        self
    }

    /// Sets the routes of the jobs.
    #[must_use]
    pub fn with_routes(mut self, routes: impl IntoIterator<Item = impl Into<Arc<str>>>) -> Self {
        self.routes = Some(routes.into_iter().map(Into::into).collect());
        self
    }

    /// Sets the newest format that the worker can read.
    #[must_use]
    pub fn with_newest_format(mut self, format: u8) -> Self {
        self.newest_format = format;
        self
    }

    /// Sets the latest time that the store's clock is expected to show.
    #[must_use]
    pub fn with_not_after(mut self, time: impl Into<Option<SystemTime>>) -> Self {
        self.not_after = time.into();
        self
    }

    /// Returns whether the store's clock is expected to show this time.
    pub fn expects(&self, now: SystemTime) -> bool {
        self.not_after.is_none_or(|latest| now <= latest)
    }
}

/// The answer to a [`ClaimQuery`].
///
/// ```
/// use std::time::SystemTime;
/// use tower_async_job_core::Claims;
///
/// assert!(Claims::new(SystemTime::now()).jobs.is_empty());
/// ```
#[non_exhaustive]
#[derive(Clone, Debug)]
pub struct Claims {
    /// The claims.
    pub jobs: Vec<Claim>,
    /// The jobs that this call ended as failed because the store could not read them: log them as
    /// errors.
    pub unreadable: Vec<JobHandle>,
    /// The jobs that this call left to other nodes, and why: log them as warnings.
    pub left: Vec<(JobHandle, StoreError)>,
    /// The time after which there will be more to claim, if the store knows. Zero: there is more
    /// now.
    pub next: Option<Duration>,
    /// The store's time at which they were made; see [`Upkeep::now`](crate::Upkeep::now).
    pub now: SystemTime,
}

impl Claims {
    /// Creates the answer of a store that claimed nothing at this time.
    pub const fn new(now: SystemTime) -> Self {
        Self {
            jobs: Vec::new(),
            unreadable: Vec::new(),
            left: Vec::new(),
            next: None,
            now,
        }
    }
}

/// The task of a claim.
///
/// ```
/// use tower_async_job_core::{ReplayedRequest, StoredRequest, Task};
///
/// let task = Task::Run(StoredRequest::encode(&ReplayedRequest::default()));
/// assert!(matches!(task, Task::Run(_)));
/// ```
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq)]
pub enum Task {
    /// Run the request.
    Run(StoredRequest),
    /// Record the response of an outside party, after [`resume`](crate::JobStore::resume).
    Record,
    /// Notify of the job's end.
    Notify {
        /// The notification, as [created](crate::NewJob::notify).
        notify: Bytes,
        /// The state in which the job ended.
        state: JobState,
        /// The time of its end, for people to read.
        ended: SystemTime,
    },
}

/// A task, and the right to perform it.
///
/// ```
/// use tower_async_job_core::{Claim, JobHandle, JobId, Lease, Task};
///
/// let claim = Claim::new(Lease::new(JobId::random(), 2), JobHandle::random(), Task::Record);
/// assert_eq!(claim.attempt, 1);
/// ```
#[non_exhaustive]
#[derive(Clone, Debug)]
pub struct Claim {
    /// The right to perform the task. That of a notification is valid for
    /// [`notified`](crate::JobStore::notified) only.
    pub lease: Lease,
    /// The job's name in operators' lists.
    pub handle: JobHandle,
    /// The task.
    pub task: Task,
    /// The number of this run, or of this attempt to notify, from 1.
    pub attempt: u32,
    /// The maximum number of runs.
    pub max_attempts: u32,
    /// The job's route.
    pub route: Arc<str>,
    /// The protocol of its answers.
    pub protocol: Protocol,
    /// The status of its announcements.
    pub pending_status: PendingStatus,
    /// The job's principal, if the store still keeps its name.
    pub principal: Option<Principal>,
    /// The time of its creation, for people to read.
    pub created: SystemTime,
    /// The time since its creation, by the store's clock.
    pub age: Duration,
    /// The time until the job's deadline, or until its notification is abandoned, by the store's clock.
    pub remaining: Duration,
    /// The [checkpoint](crate::Report::checkpoint) of an earlier run; empty if there is none.
    pub checkpoint: Bytes,
    /// The fingerprint of its [idempotency key](crate::NewJob::idempotency). Stores keep a digest
    /// of the key itself, which is in the request. As those below, it lets a run store its job
    /// [again](crate::Renewal::Missing).
    pub fingerprint: Option<[u8; 32]>,
    /// The times for which it can be read after its end.
    pub retention: Retention,
    /// The notification that becomes due with its end. `None` in a claim of that itself.
    pub notify: Option<Bytes>,
    /// The [version](crate::JobRecord::version) of its record since this claim.
    pub version: u64,
}

impl Claim {
    /// Creates a claim with defaults for all other fields, for stores to fill.
    pub fn new(lease: Lease, handle: JobHandle, task: Task) -> Self {
        Self {
            lease,
            handle,
            task,
            attempt: 1,
            max_attempts: 1,
            route: Arc::default(),
            protocol: Protocol::default(),
            pending_status: PendingStatus::default(),
            principal: None,
            created: SystemTime::UNIX_EPOCH,
            age: Duration::ZERO,
            remaining: Duration::from_secs(3600),
            checkpoint: Bytes::new(),
            fingerprint: None,
            retention: Retention::default(),
            notify: None,
            version: 0,
        }
    }
}
