use std::{error::Error, fmt, sync::Arc, time::Duration};

/// The failure of a call to a store.
///
/// The kind is private, so that new ones can come without a breaking change; ask with the
/// `is_…` methods. A store of another crate makes one with the constructors.
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
    /// Shared, so that one failure can be told to all that wait for a call.
    source: Option<Arc<dyn Error + Send + Sync>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    LeaseLost,
    Full(Box<Full>),
    Unavailable,
    Corrupt,
    UnsupportedVersion(u32),
    Conflict,
}

#[derive(Debug, Default, Clone, PartialEq, Eq)]
struct Full {
    limit: Option<StoreLimit>,
    retry_after: Option<Duration>,
}

/// The limit of a store that leaves no room.
///
/// ```
/// use tower_async_job_core::{StoreError, StoreLimit};
///
/// let limit = StoreLimit { setting: "max_bytes", value: 1 << 28 };
/// let error = StoreError::full().with_limit(limit);
/// assert_eq!(error.limit(), Some(limit));
/// assert_eq!(error.to_string(), "the job store is full: `max_bytes` is 268435456");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoreLimit {
    /// The name of the setting.
    pub setting: &'static str,
    /// Its value.
    pub value: u64,
}

impl StoreError {
    /// Makes an error of a lease that is not, or no longer, the right to run the job: it was claimed
    /// by another worker, cancelled, ended, or is gone. Nothing was changed.
    pub fn lease_lost() -> Self {
        Self::of(Kind::LeaseLost)
    }

    /// Makes an error of a store without room for what was to be added. Nothing was changed, and the
    /// jobs in it stay readable.
    pub fn full() -> Self {
        Self::of(Kind::Full(Box::default()))
    }

    /// Adds the limit that left no room. Without effect on errors other than [`full`](Self::full).
    #[must_use]
    pub fn with_limit(mut self, limit: StoreLimit) -> Self {
        if let Kind::Full(full) = &mut self.kind {
            full.limit = Some(limit);
        }
        self
    }

    /// Adds the time after which there will be room, as far as the store can know. Without effect on
    /// errors other than [`full`](Self::full).
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
        if let Kind::Full(full) = &mut self.kind {
            full.retry_after = Some(delay);
        }
        self
    }

    /// Makes an error of a store that cannot be reached, or did not answer in time; whether the call
    /// took effect is not known.
    pub fn unavailable(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::of(Kind::Unavailable).with_source(source)
    }

    /// Makes an error of a stored job that cannot be read; it was left as it is.
    pub fn corrupt(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::of(Kind::Corrupt).with_source(source)
    }

    /// Makes an error of a stored job in a format that this build does not know, as by a newer
    /// release during a rolling upgrade; it was left as it is.
    pub fn unsupported_version(version: u32) -> Self {
        Self::of(Kind::UnsupportedVersion(version))
    }

    /// Makes an error of a create whose job id is taken. Nothing was changed.
    pub fn conflict() -> Self {
        Self::of(Kind::Conflict)
    }

    /// Puts the cause beneath the error, for [`Error::source`].
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(Arc::from(source.into()));
        self
    }

    /// Returns whether the lease was not, or no longer, the right to run the job.
    pub fn is_lease_lost(&self) -> bool {
        self.kind == Kind::LeaseLost
    }

    /// Returns whether there was no room.
    pub fn is_full(&self) -> bool {
        self.full_details().is_some()
    }

    /// The limit that left no room, where the store says.
    pub fn limit(&self) -> Option<StoreLimit> {
        self.full_details()?.limit
    }

    /// The time after which there will be room, where the store knows.
    pub fn retry_after(&self) -> Option<Duration> {
        self.full_details()?.retry_after
    }

    /// Returns whether the store could not be reached.
    pub fn is_unavailable(&self) -> bool {
        self.kind == Kind::Unavailable
    }

    /// Returns whether what is stored cannot be read.
    pub fn is_corrupt(&self) -> bool {
        self.kind == Kind::Corrupt
    }

    /// Returns whether what is stored has a format that this build does not know.
    pub fn is_unsupported_version(&self) -> bool {
        matches!(self.kind, Kind::UnsupportedVersion(_))
    }

    /// Returns whether the id of a create was taken by another job.
    pub fn is_conflict(&self) -> bool {
        self.kind == Kind::Conflict
    }

    fn of(kind: Kind) -> Self {
        Self { kind, source: None }
    }

    fn full_details(&self) -> Option<&Full> {
        match &self.kind {
            Kind::Full(full) => Some(full),
            _ => None,
        }
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Kind::LeaseLost => f.write_str("the lease on the job is lost"),
            Kind::Full(full) => match full.limit {
                Some(StoreLimit { setting, value }) => {
                    write!(f, "the job store is full: `{setting}` is {value}")
                }
                None => f.write_str("the job store is full"),
            },
            Kind::Unavailable => f.write_str("the job store cannot be reached"),
            Kind::Corrupt => f.write_str("the stored job cannot be read"),
            Kind::UnsupportedVersion(version) => {
                write!(f, "the stored job has the unknown format version {version}")
            }
            Kind::Conflict => f.write_str("the job id is taken"),
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
