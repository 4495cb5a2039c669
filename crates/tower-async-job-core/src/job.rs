use std::{sync::Arc, time::Duration};

use http_polling::{JobState, Problem, Progress};
use serde_json::{Map, Value};

use crate::{IdempotencyKey, JobHandle, JobId, Json, Principal, StoredRequest, StoredResponse};

/// The dress in which a job's answers go out.
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

/// How long an ended job can still be read.
///
/// ```
/// use std::time::Duration;
/// use tower_async_job_core::Retention;
///
/// let hour = Duration::from_secs(3600);
/// assert_eq!(Retention::default(), Retention { result: hour, tombstone: hour });
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// From the job's end, how long its result is kept. One hour by default.
    pub result: Duration,
    /// From then, how long the job is known to have been, and is answered as expired and not as
    /// unknown. One hour by default.
    pub tombstone: Duration,
}

impl Default for Retention {
    fn default() -> Self {
        let hour = Duration::from_secs(3600);
        Self {
            result: hour,
            tombstone: hour,
        }
    }
}

/// A job that is to be stored.
///
/// ```
/// use std::time::Duration;
/// use tower_async_job_core::{JobId, NewJob, Principal};
///
/// let job = NewJob::new(JobId::random())
///     .with_route("/reports")
///     .with_principal(Principal::new("tenant-7"))
///     .with_deadline(Duration::from_secs(600));
/// assert!(job.running);
/// assert_eq!(job.max_attempts, 3);
/// ```
#[non_exhaustive]
#[derive(Clone, Debug)]
pub struct NewJob {
    /// The job's id.
    pub id: JobId,
    /// The job's name in operators' lists. Random by default.
    pub handle: JobHandle,
    /// Which kind of work it is, for lists and estimates. Empty by default.
    pub route: Arc<str>,
    /// The dress of its answers. [`Protocol::Http`] by default.
    pub protocol: Protocol,
    /// Who alone may read it. `None`, the default: whoever has the id.
    pub principal: Option<Principal>,
    /// The client's name for this submission. `None` by default.
    pub idempotency: Option<IdempotencyKey>,
    /// The request, kept if and only if the job may be run again by any worker. `None` by
    /// default: when its worker is lost, so is the job.
    pub request: Option<StoredRequest>,
    /// Whether the job's first run has begun already, or it waits for room. `true` by default.
    pub running: bool,
    /// From its creation, how long the job may take. Its worker sees to that; the store does
    /// where no worker holds the job. One hour by default.
    pub deadline: Duration,
    /// How many runs a job with a kept request may begin, crashed ones counted; at least 1 is
    /// always allowed. 3 by default.
    pub max_attempts: u32,
    /// How long it can be read after its end.
    pub retention: Retention,
    /// For how many bytes of a result room is taken when the job is stored; see
    /// [`JobStore::reserve`](crate::JobStore::reserve). 0 by default.
    pub result_room: usize,
}

impl NewJob {
    /// A running job with the defaults above.
    pub fn new(id: JobId) -> Self {
        Self {
            id,
            handle: JobHandle::random(),
            route: Arc::default(),
            protocol: Protocol::default(),
            principal: None,
            idempotency: None,
            request: None,
            running: true,
            deadline: Duration::from_secs(3600),
            max_attempts: 3,
            retention: Retention::default(),
            result_room: 0,
        }
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

    /// Sets the dress of its answers.
    #[must_use]
    pub fn with_protocol(mut self, protocol: Protocol) -> Self {
        self.protocol = protocol;
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

    /// Lets the job begin queued: its first run is yet to be [started](crate::JobStore::start).
    #[must_use]
    pub fn queued(mut self) -> Self {
        self.running = false;
        self
    }

    /// Sets how long the job may take, from its creation.
    #[must_use]
    pub fn with_deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Sets how many runs may be begun.
    #[must_use]
    pub fn with_max_attempts(mut self, attempts: u32) -> Self {
        self.max_attempts = attempts;
        self
    }

    /// Sets how long it can be read after its end.
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
}

/// How a run of a job ended, in its worker's words.
///
/// ```
/// use http_polling::{JobState, Problem, ProblemType};
/// use tower_async_job_core::Outcome;
///
/// let outcome = Outcome::Failed(Problem::new(ProblemType::JobFailed));
/// assert_eq!(outcome.state(), JobState::Failed);
/// ```
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// The handler answered, with whatever status.
    Done(StoredResponse),
    /// There is no answer: a panic, an error of the service, a broken or oversized body.
    Failed(Problem),
    /// The deadline passed first.
    TimedOut(Problem),
}

impl Outcome {
    /// The state that the job ends in.
    pub const fn state(&self) -> JobState {
        match self {
            Self::Done(_) => JobState::Done,
            Self::Failed(_) => JobState::Failed,
            Self::TimedOut(_) => JobState::TimedOut,
        }
    }
}

/// What a handler says of its job under way. What is `None` leaves as it is what was said before.
///
/// ```
/// use http_polling::Progress;
/// use tower_async_job_core::Report;
///
/// let report = Report::default().with_progress(Progress::fraction(0.5));
/// assert!(report.partial.is_none());
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    /// How far it is.
    pub progress: Option<Progress>,
    /// A result so far, replacing the one before.
    pub partial: Option<Json>,
    /// The handler's own members of the status document, an object, replacing all those before.
    pub metadata: Option<Json>,
}

impl Report {
    /// Says how far the job is.
    #[must_use]
    pub fn with_progress(mut self, progress: Progress) -> Self {
        self.progress = Some(progress);
        self
    }

    /// Gives a result so far.
    #[must_use]
    pub fn with_partial(mut self, partial: impl Into<Json>) -> Self {
        self.partial = Some(partial.into());
        self
    }

    /// Gives the handler's own members of the status document.
    #[must_use]
    pub fn with_metadata(mut self, metadata: Map<String, Value>) -> Self {
        self.metadata = Some(metadata.into());
        self
    }
}
