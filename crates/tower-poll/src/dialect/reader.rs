//! The contract of dialects.

use std::{fmt, sync::Arc};

use http::Uri;

use super::{answer::Answer, error::DialectError, step::Step};

/// Reads the answers of one kind of API.
///
/// It has no state of its own: everything that the meaning of a later answer
/// depends on is in the [`Answer`], so that a call can be resumed in another
/// process.
pub trait Dialect: fmt::Debug + Send + Sync {
    /// The name of this dialect. A stored [`PendingJob`](crate::PendingJob)
    /// has it.
    fn name(&self) -> &str;

    /// Returns whether this dialect reads the answers of a call, by the status
    /// and the headers of the answer to its submission. That answer has no
    /// body and no announcements here. Called once per call, and for built-in
    /// dialects only if the head looks pending.
    fn recognises(&self, answer: &Answer<'_>) -> bool;

    /// Reads an answer: to the submission, or to a poll. Called with its head
    /// and, after [`Step::NeedsBody`], once more with its body.
    ///
    /// Not called for a poll that failed and is
    /// [repeated](crate::PollLayer::poll_retries), nor for one that was
    /// answered with 401.
    ///
    /// # Errors
    ///
    /// An error ends the call. It is the source of the caller's
    /// [`Error`](crate::Error), which has the pending job.
    fn read(&self, answer: &Answer<'_>) -> Result<Step, DialectError>;

    /// Returns whether the answers to polls are documents that the layer alone
    /// reads, and never the response itself. Such polls ask for no content
    /// coding, since the layer may not know those of the caller. False by
    /// default.
    fn polls_documents(&self) -> bool {
        false
    }

    /// Returns the URL at which DELETE cancels the job that is polled at
    /// `url`. It must be of the same origin. `None` if DELETE does not cancel
    /// jobs: then none is sent. `url` itself by default.
    fn cancellation(&self, url: &Uri) -> Option<Uri> {
        Some(url.clone())
    }
}

impl<D: Dialect + ?Sized> Dialect for Arc<D> {
    fn name(&self) -> &str {
        (**self).name()
    }

    fn recognises(&self, answer: &Answer<'_>) -> bool {
        (**self).recognises(answer)
    }

    fn read(&self, answer: &Answer<'_>) -> Result<Step, DialectError> {
        (**self).read(answer)
    }

    fn polls_documents(&self) -> bool {
        (**self).polls_documents()
    }

    fn cancellation(&self, url: &Uri) -> Option<Uri> {
        (**self).cancellation(url)
    }
}
