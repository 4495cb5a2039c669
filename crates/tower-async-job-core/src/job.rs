use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use bytes::Bytes;

use crate::{
    id::{JobHandle, JobId},
    lease::Lease,
    message::StoredRequest,
    owner::{IdempotencyKey, Principal},
    queue_limit::QueueLimit,
    version,
};

/// The protocol of a job's answers.
///
/// ```
/// use tower_async_job_core::Protocol;
///
/// assert_eq!(Protocol::default(), Protocol::Http);
/// ```
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// Plain HTTP: failures are problem documents.
    #[default]
    Http,
    /// gRPC: failures are trailers-only responses.
    Grpc,
}

/// The status that announces a pending job.
///
/// ```
/// use tower_async_job_core::PendingStatus;
///
/// assert_eq!(PendingStatus::default(), PendingStatus::SeeOther);
/// ```
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum PendingStatus {
    /// `303 See Other` (RFC 9110, section 15.4.4): clients that follow redirects poll
    /// transparently.
    #[default]
    SeeOther,
    /// `202 Accepted` (section 15.3.3) with `Content-Location` beside `Location`, for browsers'
    /// `fetch`, which hides redirects, and for clients that expect 202.
    Accepted,
}

/// The times for which an ended job can be read.
///
/// ```
/// use std::time::Duration;
/// use tower_async_job_core::Retention;
///
/// let hour = Duration::from_secs(3600);
/// assert_eq!(Retention::default(), Retention::new(hour, hour));
/// ```
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// The time from the job's end for which its result is kept. One hour by default.
    pub result: Duration,
    /// The time from then for which the job is answered as expired instead of unknown. One hour by
    /// default.
    pub tombstone: Duration,
}

impl Retention {
    /// Creates the retention with these times.
    pub const fn new(result: Duration, tombstone: Duration) -> Self {
        Self { result, tombstone }
    }
}

impl Default for Retention {
    fn default() -> Self {
        let hour = Duration::from_secs(3600);
        Self::new(hour, hour)
    }
}

/// The initial state of a job.
///
/// ```
/// use tower_async_job_core::{JobId, NewJob, Start};
///
/// assert_eq!(NewJob::new(JobId::random()).start, Start::Running);
/// ```
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Start {
    /// The first run has begun, by the creator's lease.
    #[default]
    Running,
    /// The creator holds the lease, and [starts](crate::JobStore::start) the first run later.
    Queued,
    /// There is no lease: any worker may [claim](crate::JobStore::claim) the job at once. It needs
    /// a kept request; without one, it ends as lost.
    Offered,
}

/// A job to be stored.
///
/// ```
/// use std::time::Duration;
/// use tower_async_job_core::{JobId, Lease, NewJob, Principal};
///
/// let job = NewJob::new(JobId::random())
///     .with_route("/reports")
///     .with_principal(Principal::new("tenant-7"))
///     .with_deadline(Duration::from_secs(600));
/// assert_eq!(job.first_lease(), Lease::new(job.id, 1));
/// assert_eq!(job.max_attempts, 3);
/// ```
#[non_exhaustive]
#[derive(Clone, Debug)]
pub struct NewJob {
    /// The job's id; see [`JobStore::new_id`](crate::JobStore::new_id).
    pub id: JobId,
    /// The job's name in operators' lists. Random by default.
    pub handle: JobHandle,
    /// The job's route, for lists, claims and estimates. Empty by default.
    pub route: Arc<str>,
    /// The protocol of its answers. [`Protocol::Http`] by default.
    pub protocol: Protocol,
    /// The status of its announcements. [`PendingStatus::SeeOther`] by default.
    pub pending_status: PendingStatus,
    /// The only principal that may read it. `None`, the default: every client that has the id.
    pub principal: Option<Principal>,
    /// The idempotency key of its submission. `None` by default.
    pub idempotency: Option<IdempotencyKey>,
    /// The request, kept if and only if any worker may re-run the job. `None` by default: the job
    /// is then lost with its worker.
    pub request: Option<StoredRequest>,
    /// The initial state. [`Start::Running`] by default.
    pub start: Start,
    /// The epoch of its first lease. 1 by default; higher if a run stores its job again, after the
    /// store has lost the record.
    pub epoch: u64,
    /// The number of runs that have begun. 0 by default, which is 1 if it is running; higher if it
    /// is stored again.
    pub attempt: u32,
    /// The time since its run began. Zero by default; longer if it is stored again by a run.
    pub running_for: Duration,
    /// The time of its creation, from which its age and its deadline count. `None`, the default:
    /// the store's time now. A job that is stored again keeps the time that the store gave it.
    pub created: Option<SystemTime>,
    /// A version that the record's must exceed. 0 by default; if it is stored again, the latest
    /// version of the lost record that may have been read.
    pub version: u64,
    /// The time from its creation that the job may take. Its worker enforces it, or the store if no
    /// worker holds the job. One hour by default.
    pub deadline: Duration,
    /// The number of runs that a job with a kept request may begin, including crashed ones; at
    /// least 1 is always allowed. 3 by default.
    pub max_attempts: u32,
    /// The times for which it can be read after its end.
    pub retention: Retention,
    /// The bytes of room that are reserved for a result when the job is stored; see
    /// [`JobStore::reserve`](crate::JobStore::reserve). 0 by default.
    pub result_room: usize,
    /// The limits of the jobs that wait for a run, beyond which this one is not stored if it would
    /// wait too: if it is not [running](Start::Running). None by default.
    ///
    /// All jobs wait that are shown as `queued`: those that are offered, those that wait for a
    /// place at their node, and those that wait for a re-run, also while that is delayed. Those of
    /// other nodes, and those that were created without limits, count too.
    pub queue_limit: QueueLimit,
    /// The notification that becomes due with every end of the job, in the same step. Its format is
    /// the notifier's own; it is [claimed](crate::ClaimKind::Notify) like work. `None` by default.
    pub notify: Option<Bytes>,
}

impl NewJob {
    /// Creates a running job with the defaults above.
    pub fn new(id: JobId) -> Self {
        Self {
            id,
            handle: JobHandle::random(),
            route: Arc::default(),
            protocol: Protocol::default(),
            pending_status: PendingStatus::default(),
            principal: None,
            idempotency: None,
            request: None,
            start: Start::default(),
            epoch: 1,
            attempt: 0,
            running_for: Duration::ZERO,
            created: None,
            version: 0,
            deadline: Duration::from_secs(3600),
            max_attempts: 3,
            retention: Retention::default(),
            result_room: 0,
            queue_limit: QueueLimit::NONE,
            notify: None,
        }
    }

    /// Returns the lease that the creator holds once the job is stored. Until then it only gives
    /// the right to [discard](crate::JobStore::discard) the job, as that of an
    /// [offered](Start::Offered) job always does.
    pub const fn first_lease(&self) -> Lease {
        Lease::new(self.id, self.epoch)
    }

    /// Returns the number of reports that its record begins with, so that its version exceeds
    /// [`version`](Self::version): 0 unless it is stored again.
    ///
    /// ```
    /// use http_polling::JobState;
    /// use tower_async_job_core::{JobId, JobRecord, NewJob};
    ///
    /// let mut job = NewJob::new(JobId::random());
    /// assert_eq!(job.first_reports(), 0);
    /// job.version = 100;
    /// let reports = job.first_reports();
    /// assert_eq!(JobRecord::version_of(JobState::Running, job.epoch, true, reports), 101);
    /// ```
    pub fn first_reports(&self) -> u64 {
        version::reports_above(self.version, self.epoch, self.start == Start::Running)
    }

    /// Sets the name in operators' lists.
    #[must_use]
    pub fn with_handle(mut self, handle: JobHandle) -> Self {
        self.handle = handle;
        self
    }

    /// Sets the route. A shared text is shared, not copied.
    #[must_use]
    pub fn with_route(mut self, route: impl Into<Arc<str>>) -> Self {
        self.route = route.into();
        self
    }

    /// Sets the protocol of its answers.
    #[must_use]
    pub fn with_protocol(mut self, protocol: Protocol) -> Self {
        self.protocol = protocol;
        self
    }

    /// Sets the status of its announcements.
    #[must_use]
    pub fn with_pending_status(mut self, status: PendingStatus) -> Self {
        self.pending_status = status;
        self
    }

    /// Sets the principal that the job is bound to.
    #[must_use]
    pub fn with_principal(mut self, principal: Principal) -> Self {
        self.principal = Some(principal);
        self
    }

    /// Sets the idempotency key of its submission.
    #[must_use]
    pub fn with_idempotency(mut self, key: IdempotencyKey) -> Self {
        self.idempotency = Some(key);
        self
    }

    /// Sets the request that is kept, so that the job may be re-run.
    #[must_use]
    pub fn with_request(mut self, request: StoredRequest) -> Self {
        self.request = Some(request);
        self
    }

    /// Sets the initial state.
    #[must_use]
    pub fn with_start(mut self, start: Start) -> Self {
        self.start = start;
        self
    }

    /// Sets the epoch of its first lease.
    #[must_use]
    pub fn with_epoch(mut self, epoch: u64) -> Self {
        self.epoch = epoch;
        self
    }

    /// Sets the number of runs that have begun.
    #[must_use]
    pub fn with_attempt(mut self, attempt: u32) -> Self {
        self.attempt = attempt;
        self
    }

    /// Sets the time since its run began.
    #[must_use]
    pub fn with_running_for(mut self, time: Duration) -> Self {
        self.running_for = time;
        self
    }

    /// Sets the time of its creation.
    #[must_use]
    pub fn with_created(mut self, created: SystemTime) -> Self {
        self.created = Some(created);
        self
    }

    /// Sets a version that the record's must exceed.
    #[must_use]
    pub fn with_version(mut self, version: u64) -> Self {
        self.version = version;
        self
    }

    /// Sets the time that the job may take, from its creation.
    #[must_use]
    pub fn with_deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Sets the maximum number of runs.
    #[must_use]
    pub fn with_max_attempts(mut self, attempts: u32) -> Self {
        self.max_attempts = attempts;
        self
    }

    /// Sets the times for which it can be read after its end.
    #[must_use]
    pub fn with_retention(mut self, retention: Retention) -> Self {
        self.retention = retention;
        self
    }

    /// Sets the bytes of room that are reserved for a result when the job is stored.
    #[must_use]
    pub fn with_result_room(mut self, bytes: usize) -> Self {
        self.result_room = bytes;
        self
    }

    /// Sets the limits of the jobs that wait for a run.
    #[must_use]
    pub fn with_queue_limit(mut self, limit: QueueLimit) -> Self {
        self.queue_limit = limit;
        self
    }

    /// Sets the notification that becomes due with the job's end.
    #[must_use]
    pub fn with_notify(mut self, notify: impl Into<Bytes>) -> Self {
        self.notify = Some(notify.into());
        self
    }
}
