use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use http_polling::JobState;

use crate::{
    id::JobHandle,
    job::{PendingStatus, Protocol},
    lease::Lease,
    message::StoredRequest,
    owner::Principal,
};

/// The kind of thing that is claimed.
///
/// ```
/// use tower_async_job_core::ClaimKind;
///
/// assert_eq!(ClaimKind::default(), ClaimKind::Work);
/// ```
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ClaimKind {
    /// Jobs that are to be run.
    #[default]
    Work,
    /// [Notifications](crate::NewJob::notify) of ended jobs that are due.
    Notify,
}

/// The claims that a worker asks for.
///
/// ```
/// use tower_async_job_core::ClaimQuery;
///
/// let query = ClaimQuery::new(8).with_routes(["/reports"]).with_worker("node-3");
/// assert_eq!((query.limit, query.max_bytes), (8, 16 << 20));
/// ```
#[non_exhaustive]
#[derive(Clone, Debug)]
pub struct ClaimQuery {
    /// The kind. [`ClaimKind::Work`] by default.
    pub kind: ClaimKind,
    /// The most jobs.
    pub limit: usize,
    /// The most bytes of requests or notifications together, though one claim is always allowed.
    /// 16 MiB by default.
    pub max_bytes: usize,
    /// Only jobs of these kinds of work. `None`, the default: of all.
    pub routes: Option<Vec<Arc<str>>>,
    /// The newest [format](StoredRequest::FORMAT) of requests that the worker can read; those of
    /// later ones are left alone. By default, the newest that this build can read.
    pub newest_format: u8,
    /// The worker's name, for operators. Empty by default.
    pub worker: Arc<str>,
}

impl ClaimQuery {
    /// Asks for at most so many jobs to run, with the defaults above.
    pub fn new(limit: usize) -> Self {
        Self {
            kind: ClaimKind::Work,
            limit,
            max_bytes: 16 << 20,
            routes: None,
            newest_format: StoredRequest::FORMAT,
            worker: Arc::default(),
        }
    }

    /// Sets the kind.
    #[must_use]
    pub fn with_kind(mut self, kind: ClaimKind) -> Self {
        self.kind = kind;
        self
    }

    /// Sets the most bytes.
    #[must_use]
    pub fn with_max_bytes(mut self, bytes: usize) -> Self {
        self.max_bytes = bytes;
        self
    }

    /// Asks for jobs of these kinds of work only.
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

    /// Sets the worker's name.
    #[must_use]
    pub fn with_worker(mut self, worker: impl Into<Arc<str>>) -> Self {
        self.worker = worker.into();
        self
    }
}

/// The answer to a [`ClaimQuery`].
///
/// ```
/// use tower_async_job_core::Claims;
///
/// assert!(Claims::default().jobs.is_empty());
/// ```
#[non_exhaustive]
#[derive(Clone, Debug, Default)]
pub struct Claims {
    /// The claims.
    pub jobs: Vec<Claim>,
    /// The jobs that this call ended as failed because the store could not read them: an error for
    /// the operator's log.
    pub unreadable: Vec<JobHandle>,
    /// The time after which there will be more to claim, as far as the store knows. Zero if there
    /// is more now.
    pub next: Option<Duration>,
}

/// The thing that is to be done with a claim.
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
    /// The request is to be run.
    Run(StoredRequest),
    /// The response of a party outside is to be recorded, after
    /// [`resume`](crate::JobStore::resume).
    Record,
    /// The end of the job is to be notified.
    Notify {
        /// The notification, as it was [given](crate::NewJob::notify).
        notify: Bytes,
        /// The state in which the job ended.
        state: JobState,
        /// The time of its end, for people to read.
        ended: SystemTime,
    },
}

/// A task, with the right to do it.
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
    /// The right to do it. That of a notification is of use for
    /// [`notified`](crate::JobStore::notified) only.
    pub lease: Lease,
    /// The job's name in operators' lists.
    pub handle: JobHandle,
    /// The thing to do.
    pub task: Task,
    /// The number of this run, or of this attempt to notify; the first is 1.
    pub attempt: u32,
    /// The number of runs that may be begun in all.
    pub max_attempts: u32,
    /// The kind of work.
    pub route: Arc<str>,
    /// The protocol of its answers.
    pub protocol: Protocol,
    /// The status of its announcements.
    pub pending_status: PendingStatus,
    /// The principal that it belongs to, while the store keeps the name.
    pub principal: Option<Principal>,
    /// The time of its creation, for people to read.
    pub created: SystemTime,
    /// The time since its creation, by the store's clock.
    pub age: Duration,
    /// The time that is left to it, by the store's clock.
    pub remaining: Duration,
    /// The note that an earlier run [left](crate::Report::checkpoint); empty if none did.
    pub checkpoint: Bytes,
}

impl Claim {
    /// Makes a claim of which no more is known than this, for stores to fill.
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
        }
    }
}
