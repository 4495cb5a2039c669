use std::{error::Error, fmt, str::FromStr, sync::Arc, time::Duration, time::SystemTime};

use http_polling::JobState;

use crate::{id::JobHandle, owner::Principal, record::JobRecord};

/// A query for a list of jobs.
///
/// ```
/// use http_polling::JobState;
/// use tower_async_job_core::JobQuery;
///
/// let query = JobQuery::default().with_state(JobState::Running).with_limit(1_000_000);
/// assert_eq!(query.limit(), JobQuery::MAX_LIMIT);
/// ```
#[non_exhaustive]
#[derive(Clone, Debug, Default)]
pub struct JobQuery {
    /// Only jobs in this state.
    pub state: Option<JobState>,
    /// Only jobs of this route.
    pub route: Option<Arc<str>>,
    /// Only jobs of this principal.
    pub principal: Option<Principal>,
    /// Only jobs after this position in the list.
    pub after: Option<JobCursor>,
    limit: Option<usize>,
}

impl JobQuery {
    /// The maximum number of jobs on a page.
    pub const MAX_LIMIT: usize = 1000;

    const DEFAULT_LIMIT: usize = 50;

    /// Selects only jobs in this state.
    #[must_use]
    pub fn with_state(mut self, state: JobState) -> Self {
        self.state = Some(state);
        self
    }

    /// Selects only jobs of this route.
    #[must_use]
    pub fn with_route(mut self, route: impl Into<Arc<str>>) -> Self {
        self.route = Some(route.into());
        self
    }

    /// Selects only jobs of this principal.
    #[must_use]
    pub fn with_principal(mut self, principal: Principal) -> Self {
        self.principal = Some(principal);
        self
    }

    /// Selects only jobs after this position in the list.
    #[must_use]
    pub fn with_after(mut self, cursor: JobCursor) -> Self {
        self.after = Some(cursor);
        self
    }

    /// Sets the maximum number of jobs on the page: from 1 to [`MAX_LIMIT`](Self::MAX_LIMIT).
    #[must_use]
    pub fn with_limit(mut self, limit: usize) -> Self {
        self.limit = Some(limit);
        self
    }

    /// Returns the maximum number of jobs on the page; 50 by default.
    pub fn limit(&self) -> usize {
        self.limit
            .unwrap_or(Self::DEFAULT_LIMIT)
            .clamp(1, Self::MAX_LIMIT)
    }
}

/// One page of a list of jobs, newest first.
///
/// ```
/// use tower_async_job_core::JobPage;
///
/// let page = JobPage::new(Vec::new(), None);
/// assert!(page.next.is_none());
/// ```
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq)]
pub struct JobPage {
    /// The jobs, with [`Detail::Status`](crate::Detail::Status).
    pub jobs: Vec<JobRecord>,
    /// The position of the next page, if there is one.
    pub next: Option<JobCursor>,
    /// The number of unreadable jobs that this page leaves out.
    pub unreadable: usize,
}

impl JobPage {
    /// Creates a page of readable jobs, for stores.
    pub fn new(jobs: Vec<JobRecord>, next: Option<JobCursor>) -> Self {
        Self {
            jobs,
            next,
            unreadable: 0,
        }
    }
}

/// A position in the list of all jobs: a time of creation, and the handle among jobs created in the
/// same microsecond. Its text is valid in a query parameter.
///
/// ```
/// use std::time::{Duration, SystemTime};
/// use tower_async_job_core::{JobCursor, JobHandle};
///
/// let created = SystemTime::UNIX_EPOCH + Duration::from_micros(5);
/// let cursor = JobCursor::new(created, JobHandle::from_bits(7));
/// assert_eq!(cursor.to_string().parse(), Ok(cursor));
/// ```
// The order of the fields is the reverse order of the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobCursor {
    created: u64,
    handle: JobHandle,
}

impl JobCursor {
    /// Creates the position of the job with this time of creation, to the microsecond, and this
    /// handle.
    pub fn new(created: SystemTime, handle: JobHandle) -> Self {
        let since = created
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        Self::at(u64::try_from(since.as_micros()).unwrap_or(u64::MAX), handle)
    }

    pub(crate) const fn at(created: u64, handle: JobHandle) -> Self {
        Self { created, handle }
    }

    /// Returns the time of creation, to the microsecond.
    pub fn created(self) -> SystemTime {
        let since = Duration::from_micros(self.created);
        SystemTime::UNIX_EPOCH
            .checked_add(since)
            .unwrap_or(SystemTime::UNIX_EPOCH)
    }

    /// Returns the handle.
    pub const fn handle(self) -> JobHandle {
        self.handle
    }
}

impl fmt::Display for JobCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.created, self.handle)
    }
}

impl FromStr for JobCursor {
    type Err = ParseJobCursorError;

    fn from_str(text: &str) -> Result<Self, ParseJobCursorError> {
        let (created, handle) = text.split_once('-').ok_or(ParseJobCursorError(()))?;
        Ok(Self {
            created: created.parse().map_err(|_| ParseJobCursorError(()))?,
            handle: handle.parse().map_err(|_| ParseJobCursorError(()))?,
        })
    }
}

/// The error of parsing a [`JobCursor`].
///
/// ```
/// use tower_async_job_core::JobCursor;
///
/// assert!("tomorrow".parse::<JobCursor>().is_err());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParseJobCursorError(());

impl fmt::Display for ParseJobCursorError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the place in the list of jobs is malformed")
    }
}

impl Error for ParseJobCursorError {}
