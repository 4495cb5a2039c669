use std::{sync::Arc, time::Duration};

use bytes::Bytes;

use crate::{
    id::{JobHandle, JobId},
    lease::Lease,
    message::StoredRequest,
    owner::{IdempotencyKey, Principal},
};

/// The protocol in which a job's answers are written.
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
    /// gRPC: failures are trailers-only answers.
    Grpc,
}

/// The status with which a pending job is announced.
///
/// ```
/// use tower_async_job_core::PendingStatus;
///
/// assert_eq!(PendingStatus::default(), PendingStatus::SeeOther);
/// ```
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum PendingStatus {
    /// `303 See Other` (RFC 9110, section 15.4.4): redirect followers poll without knowing it.
    #[default]
    SeeOther,
    /// `202 Accepted` (section 15.3.3) with `Content-Location` beside `Location`, for browsers'
    /// `fetch`, which hides redirects, and for clients that expect 202.
    Accepted,
}

/// The times for which an ended job can still be read.
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
    /// From the job's end, the time for which its result is kept. One hour by default.
    pub result: Duration,
    /// From then, the time for which the job is answered as expired and not as unknown. One hour
    /// by default.
    pub tombstone: Duration,
}

impl Retention {
    /// Keeps a result for `result`, and the memory of its job for `tombstone` from then.
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

/// The state in which a job is stored first.
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
    /// No lease is given: any worker may [claim](crate::JobStore::claim) the job at once. It needs
    /// a kept request; without one, the job ends as lost.
    Offered,
}

/// A job that is to be stored.
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
    /// The kind of work, for lists, claims and estimates. Empty by default.
    pub route: Arc<str>,
    /// The protocol of its answers. [`Protocol::Http`] by default.
    pub protocol: Protocol,
    /// The status of its announcements. [`PendingStatus::SeeOther`] by default.
    pub pending_status: PendingStatus,
    /// The only principal that may read it. `None`, the default: every client that has the id.
    pub principal: Option<Principal>,
    /// The client's name for this submission. `None` by default.
    pub idempotency: Option<IdempotencyKey>,
    /// The request, kept if and only if the job may be run again by any worker. `None` by
    /// default: when its worker is lost, so is the job.
    pub request: Option<StoredRequest>,
    /// The state in which it begins. [`Start::Running`] by default.
    pub start: Start,
    /// The epoch of its first lease. 1 by default; higher where a run stores its job anew, since
    /// its store has lost the record.
    pub epoch: u64,
    /// From its creation, the time that the job may take. Its worker enforces it; the store does
    /// where no worker holds the job. One hour by default.
    pub deadline: Duration,
    /// The number of runs that a job with a kept request may begin, crashed ones counted; at least
    /// 1 is always allowed. 3 by default.
    pub max_attempts: u32,
    /// The times for which it can be read after its end.
    pub retention: Retention,
    /// The bytes of room that are taken for a result when the job is stored; see
    /// [`JobStore::reserve`](crate::JobStore::reserve). 0 by default.
    pub result_room: usize,
    /// The notification that every end of the job makes due in the same step, in the notifier's
    /// own format; [claimed](crate::ClaimKind::Notify) like work. `None` by default.
    pub notify: Option<Bytes>,
}

impl NewJob {
    /// Makes a running job with the defaults above.
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
            deadline: Duration::from_secs(3600),
            max_attempts: 3,
            retention: Retention::default(),
            result_room: 0,
            notify: None,
        }
    }

    /// Returns the lease that the creator holds once the job is stored. Until then it gives the
    /// right to [discard](crate::JobStore::discard) the job; that of an
    /// [offered](Start::Offered) job never gives another right.
    pub const fn first_lease(&self) -> Lease {
        Lease::new(self.id, self.epoch)
    }

    /// Sets the name in operators' lists.
    #[must_use]
    pub fn with_handle(mut self, handle: JobHandle) -> Self {
        self.handle = handle;
        self
    }

    /// Sets the kind of work. A shared text is shared, not copied.
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

    /// Binds the job to a principal.
    #[must_use]
    pub fn with_principal(mut self, principal: Principal) -> Self {
        self.principal = Some(principal);
        self
    }

    /// Sets the client's name for this submission.
    #[must_use]
    pub fn with_idempotency(mut self, key: IdempotencyKey) -> Self {
        self.idempotency = Some(key);
        self
    }

    /// Keeps the request, so that the job may be run again.
    #[must_use]
    pub fn with_request(mut self, request: StoredRequest) -> Self {
        self.request = Some(request);
        self
    }

    /// Sets the state in which it begins.
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

    /// Sets the time that the job may take, from its creation.
    #[must_use]
    pub fn with_deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Sets the number of runs that may be begun.
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

    /// Takes room for a result of so many bytes when the job is stored.
    #[must_use]
    pub fn with_result_room(mut self, bytes: usize) -> Self {
        self.result_room = bytes;
        self
    }

    /// Makes a notification due with the job's end.
    #[must_use]
    pub fn with_notify(mut self, notify: impl Into<Bytes>) -> Self {
        self.notify = Some(notify.into());
        self
    }
}
