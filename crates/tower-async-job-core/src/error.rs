use std::{error::Error, fmt};

/// Why a store refused, or could not do, what it was asked.
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
#[derive(Debug)]
pub struct StoreError {
    kind: Kind,
    source: Option<Box<dyn Error + Send + Sync>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    LeaseLost,
    Full,
    Unavailable,
    Corrupt,
    UnsupportedVersion(u32),
    Conflict,
}

impl StoreError {
    /// The lease is not, or no longer, the right to run the job: it was claimed by another
    /// worker, cancelled, ended, or is gone. Nothing was changed.
    pub fn lease_lost() -> Self {
        Self::of(Kind::LeaseLost)
    }

    /// The store has no room for what was to be added. Nothing was changed, and the jobs in it
    /// stay readable.
    pub fn full() -> Self {
        Self::of(Kind::Full)
    }

    /// The store cannot be reached, or did not answer in time; whether the call took effect is
    /// not known.
    pub fn unavailable(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::of(Kind::Unavailable).with_source(source)
    }

    /// What is stored cannot be read; it was left as it is.
    pub fn corrupt(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::of(Kind::Corrupt).with_source(source)
    }

    /// What is stored was written in a format that this build does not know, as by a newer
    /// release during a rolling upgrade; it was left as it is.
    pub fn unsupported_version(version: u32) -> Self {
        Self::of(Kind::UnsupportedVersion(version))
    }

    /// The job id of a create belongs to another job already. Nothing was changed.
    pub fn conflict() -> Self {
        Self::of(Kind::Conflict)
    }

    /// Puts the cause beneath the error, for [`Error::source`].
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Whether the lease was not, or no longer, the right to run the job.
    pub fn is_lease_lost(&self) -> bool {
        self.kind == Kind::LeaseLost
    }

    /// Whether there was no room.
    pub fn is_full(&self) -> bool {
        self.kind == Kind::Full
    }

    /// Whether the store could not be reached.
    pub fn is_unavailable(&self) -> bool {
        self.kind == Kind::Unavailable
    }

    /// Whether what is stored cannot be read.
    pub fn is_corrupt(&self) -> bool {
        self.kind == Kind::Corrupt
    }

    /// Whether what is stored has a format that this build does not know.
    pub fn is_unsupported_version(&self) -> bool {
        matches!(self.kind, Kind::UnsupportedVersion(_))
    }

    /// Whether the id of a create was taken by another job.
    pub fn is_conflict(&self) -> bool {
        self.kind == Kind::Conflict
    }

    fn of(kind: Kind) -> Self {
        Self { kind, source: None }
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            Kind::LeaseLost => f.write_str("the lease on the job is lost"),
            Kind::Full => f.write_str("the job store is full"),
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
