use std::time::{Duration, SystemTime};

use crate::{id::JobId, owner::Principal};

/// The fixed properties of a store.
///
/// ```
/// use std::time::Duration;
/// use tower_async_job_core::StoreProperties;
///
/// let properties = StoreProperties::default().with_lease(Duration::from_secs(30));
/// assert_eq!((properties.chunk, properties.shared), (None, false));
/// assert_eq!(properties.name, "store");
/// ```
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreProperties {
    /// The short name of its kind, such as `memory`: the label `store` of metrics. `store` by
    /// default.
    pub name: &'static str,
    /// The time that a lease lasts without renewal. `None`, the default: as long as the process,
    /// without renewals.
    pub lease: Option<Duration>,
    /// The size of a chunk, in bytes: longer bodies are [written](crate::JobStore::write_chunk)
    /// in chunks of this size. `None`, the default: every result is stored as one piece.
    pub chunk: Option<usize>,
    /// The maximum number of bytes that it holds in memory of one result while that is written in
    /// chunks, beside the chunk of the call. 0 by default.
    pub recording: usize,
    /// True if other processes may change its jobs; housekeeping then never stops. `false` by
    /// default.
    pub shared: bool,
}

impl Default for StoreProperties {
    fn default() -> Self {
        Self {
            name: "store",
            lease: None,
            chunk: None,
            recording: 0,
            shared: false,
        }
    }
}

impl StoreProperties {
    /// Sets the short name of its kind.
    #[must_use]
    pub const fn with_name(mut self, name: &'static str) -> Self {
        self.name = name;
        self
    }

    /// Sets the time that a lease lasts.
    #[must_use]
    pub const fn with_lease(mut self, lease: Duration) -> Self {
        self.lease = Some(lease);
        self
    }

    /// Sets the size of a chunk.
    #[must_use]
    pub const fn with_chunk(mut self, bytes: usize) -> Self {
        self.chunk = Some(bytes);
        self
    }

    /// Sets the maximum number of bytes that it holds of a result that is written in chunks.
    #[must_use]
    pub const fn with_recording(mut self, bytes: usize) -> Self {
        self.recording = bytes;
        self
    }

    /// Sets whether other processes may change its jobs.
    #[must_use]
    pub const fn with_shared(mut self, shared: bool) -> Self {
        self.shared = shared;
        self
    }
}

/// The bytes that a store holds, and their limit.
///
/// ```
/// use tower_async_job_core::{JobStore, MemoryStore, Usage};
///
/// assert_eq!(MemoryStore::new().usage(), Some(Usage::new(0, 256 << 20)));
/// ```
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// The bytes that are stored or reserved.
    pub bytes: usize,
    /// The limit.
    pub max_bytes: usize,
}

impl Usage {
    /// Creates the usage of `bytes` out of `max_bytes`.
    pub const fn new(bytes: usize, max_bytes: usize) -> Self {
        Self { bytes, max_bytes }
    }
}

/// A request for a [sweep](crate::JobStore::sweep).
///
/// ```
/// use std::time::{Duration, SystemTime};
/// use tower_async_job_core::SweepQuery;
///
/// let now = SystemTime::now();
/// assert!(SweepQuery::default().expects(now));
/// assert!(!SweepQuery::default().with_not_after(now).expects(now + Duration::from_secs(1)));
/// ```
#[non_exhaustive]
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SweepQuery {
    /// The latest time that the store's clock is expected to show. If it shows a later one, it may
    /// have jumped, and leases that seem to have expired may not have: the store then changes
    /// nothing, and returns only its [time](Upkeep::now). `None`, the default: any time.
    pub not_after: Option<SystemTime>,
}

impl SweepQuery {
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

/// The result of a [sweep](crate::JobStore::sweep).
///
/// ```
/// use std::time::SystemTime;
/// use tower_async_job_core::Upkeep;
///
/// let upkeep = Upkeep::new(SystemTime::now());
/// assert_eq!((upkeep.pending.total, upkeep.nodes), (0, 1));
/// ```
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upkeep {
    /// The time after which the store wants to be swept again. `None` if there are no jobs, so that
    /// an idle node needs no timer until the next create; a [shared](StoreProperties::shared) store
    /// never returns it. Zero if the sweep paused so that the caller can attend to other duties.
    pub next: Option<Duration>,
    /// The number of pending jobs, on all nodes.
    pub pending: PendingJobs,
    /// The number of nodes that share the jobs now, the caller's included: those that have swept the
    /// store recently. 1 by default.
    pub nodes: u32,
    /// The time for which the next job to be claimed has been claimable, for workers of any route.
    /// A store that does not note that may return the time since its creation. `None`, the default,
    /// if no job is claimable.
    pub oldest_due: Option<Duration>,
    /// The number of jobs that calls of this handle have ended since its latest sweep because a
    /// lease lapsed: as lost, or as failed after their last attempt. 0 by default. Those that a
    /// [release](crate::JobStore::release) ended are not among them, since its caller learns of them.
    pub lost: u64,
    /// The jobs that calls of this handle have ended since its latest sweep because a lease lapsed or
    /// a deadline passed, up to [`EndedJobs::MAX`](crate::EndedJobs::MAX): for the log. Empty by
    /// default. Jobs that a caller ends, such as by a [release](crate::JobStore::release), are not
    /// among them.
    pub ended: Vec<JobId>,
    /// The store's time at which the sweep was made, by the clock that measures leases. Two of them
    /// tell a node the speed of that clock; it need not be the time of day. If the query does not
    /// [expect](SweepQuery::expects) it, nothing was swept, and the other fields mean nothing.
    pub now: SystemTime,
}

impl Upkeep {
    /// Creates the result of a sweep at this time, of a store without jobs.
    pub const fn new(now: SystemTime) -> Self {
        Self {
            next: None,
            pending: PendingJobs {
                total: 0,
                principals: Vec::new(),
            },
            nodes: 1,
            oldest_due: None,
            lost: 0,
            ended: Vec::new(),
            now,
        }
    }
}

/// The number of pending jobs, in total and by principal.
///
/// ```
/// use tower_async_job_core::{PendingJobs, Principal};
///
/// let mut pending = PendingJobs::default();
/// pending.total = 3;
/// pending.principals.push((Principal::new("tenant-7"), 2));
/// assert!(pending.principals.len() <= PendingJobs::MAX_PRINCIPALS);
/// ```
#[non_exhaustive]
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PendingJobs {
    /// The number of all pending jobs.
    pub total: u64,
    /// The principals with the most pending jobs, in descending order, at most
    /// [`MAX_PRINCIPALS`](Self::MAX_PRINCIPALS). A store may count them less often than it is
    /// swept.
    pub principals: Vec<(Principal, u64)>,
}

impl PendingJobs {
    /// The maximum number of principals listed.
    pub const MAX_PRINCIPALS: usize = 1000;
}
