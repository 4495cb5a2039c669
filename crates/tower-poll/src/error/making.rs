//! The errors of the layer.

use std::borrow::Cow;

use http::{HeaderMap, StatusCode};
use http_polling::{JobState, Problem};
use tower::BoxError;

use super::{BODY_LIMIT, Error, Hint, Inner, Kind, Said};
use crate::{coding::decoded, pending_job::PendingJob, policy::refusal::Refusal};

impl Error {
    pub(crate) fn new(kind: Kind) -> Self {
        Self(Box::new(Inner {
            kind,
            source: None,
            problem: None,
            said: None,
            hint: None,
            pending_job: None,
        }))
    }

    pub(crate) fn with_source(mut self, source: impl Into<BoxError>) -> Self {
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

    /// Adds the job that `job` gives, unless there is one.
    pub(crate) fn or_pending_job(mut self, job: impl FnOnce() -> Option<PendingJob>) -> Self {
        if self.0.pending_job.is_none() {
            self.0.pending_job = job();
        }
        self
    }

    /// Adds the head of the answer that is the reason.
    pub(crate) fn about(mut self, status: StatusCode, headers: HeaderMap) -> Self {
        self.0.said = Some(Said {
            status,
            headers,
            body: Vec::new(),
        });
        self
    }

    /// Removes the answer, for an error without one.
    pub(crate) fn about_none(mut self) -> Self {
        self.0.said = None;
        self
    }

    /// Adds the start of the body of that answer. If the body `is_whole`, its
    /// content codings are removed.
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

    /// Returns whether an answer is the reason.
    pub(crate) fn has_answer(&self) -> bool {
        self.0.said.is_some()
    }

    pub(crate) fn refused(refusal: Refusal) -> Self {
        let is_cross_origin = refusal.is_cross_origin();
        Self::new(Kind::Refused { is_cross_origin }).with_source(refusal)
    }

    pub(crate) fn job(state: JobState, problem: Option<Problem>) -> Self {
        let mut error = Self::new(Kind::Job(state));
        error.0.problem = problem;
        error
    }
}
