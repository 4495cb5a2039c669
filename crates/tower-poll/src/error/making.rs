//! The errors that the layer makes.

use std::{borrow::Cow, time::Duration};

use http::{HeaderMap, StatusCode};
use http_polling::{JobState, LocationError, Problem};
use tower::BoxError;

use super::{BODY_LIMIT, Error, Hint, Inner, Kind, Said};
use crate::{coding::decoded, pending_job::PendingJob, policy::Refusal};

impl Error {
    fn new(kind: Kind) -> Self {
        Self(Box::new(Inner {
            kind,
            source: None,
            problem: None,
            said: None,
            hint: None,
            pending_job: None,
        }))
    }

    fn with_source(mut self, source: impl Into<BoxError>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    pub(crate) fn with_hint(mut self, hint: impl Into<Option<Hint>>) -> Self {
        self.0.hint = hint.into();
        self
    }

    pub(crate) fn with_pending_job(mut self, job: Option<PendingJob>) -> Self {
        self.0.pending_job = job;
        self
    }

    /// With the job that `job` gives, unless there is one.
    pub(crate) fn or_pending_job(mut self, job: impl FnOnce() -> Option<PendingJob>) -> Self {
        if self.0.pending_job.is_none() {
            self.0.pending_job = job();
        }
        self
    }

    /// With the head of the answer that it is about.
    pub(crate) fn about(mut self, status: StatusCode, headers: HeaderMap) -> Self {
        self.0.said = Some(Said {
            status,
            headers,
            body: Vec::new(),
        });
        self
    }

    /// Of no answer after all.
    pub(crate) fn about_none(mut self) -> Self {
        self.0.said = None;
        self
    }

    /// With the start of the body of the answer that it is about. `is_whole`
    /// is whether the body ended there; if so, its content codings are undone.
    pub(crate) fn with_body(mut self, mut body: Vec<u8>, is_whole: bool) -> Self {
        if let Some(said) = &mut self.0.said {
            if is_whole && let Some(Cow::Owned(plain)) = decoded(&said.headers, &body, BODY_LIMIT) {
                body = plain;
            }
            body.truncate(BODY_LIMIT);
            said.body = body;
            if is_whole && self.0.problem.is_none() {
                self.0.problem = said.problem();
            }
        }
        self
    }

    /// Returns whether it is about an answer.
    pub(crate) fn has_answer(&self) -> bool {
        self.0.said.is_some()
    }

    /// The service failed at the submission.
    pub(crate) fn service(source: impl Into<BoxError>) -> Self {
        Self::new(Kind::Service).with_source(source)
    }

    /// The service failed at a poll.
    pub(crate) fn poll(source: impl Into<BoxError>) -> Self {
        Self::new(Kind::Poll).with_source(source)
    }

    pub(crate) fn deadline() -> Self {
        Self::new(Kind::Deadline)
    }

    /// The next poll would be `delay` from now, which is after the deadline.
    pub(crate) fn too_late(delay: Duration) -> Self {
        Self::new(Kind::TooLate { delay })
    }

    pub(crate) fn too_many_polls() -> Self {
        Self::new(Kind::TooManyPolls)
    }

    pub(crate) fn foreign_location() -> Self {
        Self::new(Kind::ForeignLocation)
    }

    pub(crate) fn bad_location(source: LocationError) -> Self {
        Self::new(Kind::BadLocation).with_source(source)
    }

    pub(crate) fn refused(refusal: Refusal) -> Self {
        let is_cross_origin = refusal.is_cross_origin();
        Self::new(Kind::Refused { is_cross_origin }).with_source(refusal)
    }

    /// A dialect could not read an answer.
    pub(crate) fn bad_answer(source: impl Into<BoxError>) -> Self {
        Self::new(Kind::BadAnswer).with_source(source)
    }

    /// The answer to a poll is not that of the job.
    pub(crate) fn unrelated() -> Self {
        Self::new(Kind::Unrelated).with_hint(Hint::OtherRoute)
    }

    /// 401 or 403 on a poll.
    pub(crate) fn unauthorized() -> Self {
        Self::new(Kind::Unauthorized)
    }

    /// There are no new credentials after a 401.
    pub(crate) fn not_refreshed(source: impl Into<BoxError>) -> Self {
        Self::new(Kind::Unauthorized).with_source(source)
    }

    pub(crate) fn stopped() -> Self {
        Self::new(Kind::Stopped)
    }

    pub(crate) fn not_cancellable() -> Self {
        Self::new(Kind::NotCancellable)
    }

    pub(crate) fn not_cancelled(status: StatusCode) -> Self {
        Self::new(Kind::NotCancelled(status))
    }

    pub(crate) fn unknown_dialect() -> Self {
        Self::new(Kind::UnknownDialect)
    }

    pub(crate) fn job(state: JobState, problem: Option<Problem>) -> Self {
        let mut error = Self::new(Kind::Job(state));
        error.0.problem = problem;
        error
    }
}
