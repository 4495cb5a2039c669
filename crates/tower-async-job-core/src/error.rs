use std::{error::Error, fmt, sync::Arc, time::Duration};

/// The error of a call to a store.
///
/// The kind is private, so that new ones are no breaking change; check it with the `is_…` methods.
/// Stores create errors with the constructors.
///
/// ```
/// use tower_async_job_core::StoreError;
///
/// let error = StoreError::unavailable("connection refused");
/// assert!(error.is_unavailable());
/// assert_eq!(error.to_string(), "the job store cannot be reached");
/// ```
#[derive(Debug, Clone)]
pub struct StoreError {
    kind: Kind,
    /// Shared, since one failure can be the result of several reads.
    source: Option<Arc<dyn Error + Send + Sync>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    LeaseLost,
    Full(Box<Full>),
    QueueFull(Box<Full>),
    QuotaExceeded(Box<Full>),
    Unavailable,
    Corrupt,
    UnsupportedVersion(u32),
    UnknownKey(Box<str>),
    Conflict,
}

#[derive(Debug, Default, Clone, PartialEq, Eq)]
struct Full {
    limit: Option<StoreLimit>,
    retry_after: Option<Duration>,
}

/// The limit that a store has reached.
///
/// ```
/// use tower_async_job_core::{StoreError, StoreLimit};
///
/// let limit = StoreLimit::new("max_bytes", 1 << 28);
/// let error = StoreError::full().with_limit(limit);
/// assert_eq!(error.limit(), Some(limit));
/// assert_eq!(error.to_string(), "the job store is full: `max_bytes` is 268435456");
/// ```
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoreLimit {
    /// The name of the setting.
    pub setting: &'static str,
    /// Its value.
    pub value: u64,
}

impl StoreLimit {
    /// Creates the limit of this setting.
    pub const fn new(setting: &'static str, value: u64) -> Self {
        Self { setting, value }
    }
}

impl StoreError {
    /// Creates the error of a lease that does not, or no longer, hold the job: another worker
    /// claimed it, or it was cancelled, ended, or is gone. Nothing was changed.
    pub fn lease_lost() -> Self {
        Self::of(Kind::LeaseLost)
    }

    /// Creates the error of a store without room for the addition. Nothing was changed, and its
    /// jobs stay readable.
    pub fn full() -> Self {
        Self::of(Kind::Full(Box::default()))
    }

    /// Creates the error of a create beyond the [limit](crate::NewJob::queue_limit) of waiting
    /// jobs. Nothing was changed.
    pub fn queue_full() -> Self {
        Self::of(Kind::QueueFull(Box::default()))
    }

    /// Creates the error of a create beyond the [limit](crate::NewJob::queue_limit) of its
    /// principal's waiting jobs. Nothing was changed.
    pub fn quota_exceeded() -> Self {
        Self::of(Kind::QuotaExceeded(Box::default()))
    }

    /// Adds the limit that was reached. No effect on errors other than [`full`](Self::full),
    /// [`queue_full`](Self::queue_full) and [`quota_exceeded`](Self::quota_exceeded).
    #[must_use]
    pub fn with_limit(mut self, limit: StoreLimit) -> Self {
        if let Some(full) = self.full_details_mut() {
            full.limit = Some(limit);
        }
        self
    }

    /// Adds the time after which there will be room, if the store can know it. No effect on errors
    /// that have no [limit](Self::with_limit).
    ///
    /// ```
    /// use std::time::Duration;
    /// use tower_async_job_core::StoreError;
    ///
    /// let minute = Duration::from_secs(60);
    /// let error = StoreError::full().with_retry_after(minute);
    /// assert_eq!(error.retry_after(), Some(minute));
    /// ```
    #[must_use]
    pub fn with_retry_after(mut self, delay: Duration) -> Self {
        if let Some(full) = self.full_details_mut() {
            full.retry_after = Some(delay);
        }
        self
    }

    /// Creates the error of a store that is unreachable or did not answer in time. The call may
    /// have taken effect.
    pub fn unavailable(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::of(Kind::Unavailable).with_source(source)
    }

    /// Creates the error of a stored job that cannot be read. It was left unchanged.
    pub fn corrupt(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::of(Kind::Corrupt).with_source(source)
    }

    /// Creates the error of a stored job whose format this build does not know, such as that of a
    /// newer release during a rolling upgrade. It was left unchanged.
    pub fn unsupported_version(version: u32) -> Self {
        Self::of(Kind::UnsupportedVersion(version))
    }

    /// Creates the error of a stored job that is sealed with a key that this node does not have. It
    /// was left unchanged.
    ///
    /// ```
    /// use tower_async_job_core::StoreError;
    ///
    /// let error = StoreError::unknown_key("2026");
    /// let text = "the stored job is sealed with the key \"2026\", which this node does not have";
    /// assert_eq!(error.to_string(), text);
    /// ```
    pub fn unknown_key(id: &str) -> Self {
        Self::of(Kind::UnknownKey(id.into()))
    }

    /// Creates the error of a create whose job id is taken. Nothing was changed.
    pub fn conflict() -> Self {
        Self::of(Kind::Conflict)
    }

    /// Sets the cause, for [`Error::source`].
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(Arc::from(source.into()));
        self
    }

    /// Returns whether the lease does not, or no longer, hold the job.
    pub fn is_lease_lost(&self) -> bool {
        self.kind == Kind::LeaseLost
    }

    /// Returns whether the store is full.
    pub fn is_full(&self) -> bool {
        matches!(self.kind, Kind::Full(_))
    }

    /// Returns whether the number of waiting jobs has reached its limit.
    pub fn is_queue_full(&self) -> bool {
        matches!(self.kind, Kind::QueueFull(_))
    }

    /// Returns whether the number of the principal's waiting jobs has reached its limit.
    pub fn is_quota_exceeded(&self) -> bool {
        matches!(self.kind, Kind::QuotaExceeded(_))
    }

    /// Returns the limit that was reached, if the store reports it.
    pub fn limit(&self) -> Option<StoreLimit> {
        self.full_details()?.limit
    }

    /// Returns the time after which there will be room, if the store knows it.
    pub fn retry_after(&self) -> Option<Duration> {
        self.full_details()?.retry_after
    }

    /// Returns whether the store is unreachable.
    pub fn is_unavailable(&self) -> bool {
        self.kind == Kind::Unavailable
    }

    /// Returns whether the stored data cannot be read.
    pub fn is_corrupt(&self) -> bool {
        self.kind == Kind::Corrupt
    }

    /// Returns whether the stored data has a format that this build does not know.
    pub fn is_unsupported_version(&self) -> bool {
        matches!(self.kind, Kind::UnsupportedVersion(_))
    }

    /// Returns whether the stored data is sealed with a key that this node does not have.
    pub fn is_unknown_key(&self) -> bool {
        matches!(self.kind, Kind::UnknownKey(_))
    }

    /// Returns whether another job has the id of a create.
    pub fn is_conflict(&self) -> bool {
        self.kind == Kind::Conflict
    }

    fn of(kind: Kind) -> Self {
        Self { kind, source: None }
    }

    fn full_details(&self) -> Option<&Full> {
        match &self.kind {
            Kind::Full(full) | Kind::QueueFull(full) | Kind::QuotaExceeded(full) => Some(full),
            _ => None,
        }
    }

    fn full_details_mut(&mut self) -> Option<&mut Full> {
        match &mut self.kind {
            Kind::Full(full) | Kind::QueueFull(full) | Kind::QuotaExceeded(full) => Some(full),
            _ => None,
        }
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Kind::LeaseLost => f.write_str("the lease on the job is lost"),
            Kind::Full(_) => f.write_str("the job store is full"),
            Kind::QueueFull(_) => f.write_str("too many jobs wait for a run"),
            Kind::QuotaExceeded(_) => f.write_str("too many jobs of the principal wait for a run"),
            Kind::Unavailable => f.write_str("the job store cannot be reached"),
            Kind::Corrupt => f.write_str("the stored job cannot be read"),
            Kind::UnsupportedVersion(version) => {
                write!(f, "the stored job has the unknown format version {version}")
            }
            Kind::UnknownKey(id) => write!(
                f,
                "the stored job is sealed with the key {id:?}, which this node does not have"
            ),
            Kind::Conflict => f.write_str("the job id is taken"),
        }?;
        match self.limit() {
            Some(StoreLimit { setting, value }) => write!(f, ": `{setting}` is {value}"),
            None => Ok(()),
        }
    }
}

impl Error for StoreError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.source {
            Some(source) => Some(&**source),
            None => None,
        }
    }
}
