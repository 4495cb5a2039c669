//! Errors as statuses of gRPC.

use std::{error, iter, sync::Arc};

use http::StatusCode;
use http_polling::JobState;
use tonic::{Code, Status};

use super::Error;

impl Error {
    /// Adds a status as the source, unless the service beneath failed: tonic
    /// reads those errors itself.
    pub(super) fn with_status(mut self) -> Self {
        if self.is_inner() {
            return self;
        }
        let mut status = Status::new(self.code(), self.message());
        if let Some(source) = self.0.source.take() {
            status.set_source(Arc::from(source));
        }
        self.0.source = Some(Box::new(status));
        self
    }

    fn code(&self) -> Code {
        match self.job_state() {
            Some(JobState::Cancelled) => Code::Cancelled,
            Some(JobState::TimedOut) => Code::DeadlineExceeded,
            Some(JobState::Lost) => Code::Aborted,
            Some(JobState::Expired | JobState::Unknown) => Code::NotFound,
            Some(_) => Code::Internal,
            None if self.is_deadline() => Code::DeadlineExceeded,
            None if self.is_too_many_polls() => Code::ResourceExhausted,
            None if self.is_cross_origin() || self.is_refused() => Code::PermissionDenied,
            None if self.is_unauthorized() && self.status() == Some(StatusCode::FORBIDDEN) => {
                Code::PermissionDenied
            }
            None if self.is_unauthorized() => Code::Unauthenticated,
            None if self.is_stopped() || self.refused_cancellation().is_some() => Code::Cancelled,
            None if self.is_unknown_dialect() => Code::FailedPrecondition,
            None if self.is_bad_location() || self.is_bad_answer() || self.is_unrelated() => {
                Code::Internal
            }
            None => Code::Unknown,
        }
    }

    /// The text of this error and of its sources.
    fn message(&self) -> String {
        let first: Option<&(dyn error::Error + 'static)> = Some(self);
        let chain = iter::successors(first, |error| error.source());
        let texts: Vec<_> = chain.map(ToString::to_string).collect();
        texts.join(": ")
    }
}
