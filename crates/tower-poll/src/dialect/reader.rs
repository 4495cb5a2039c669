//! The contract of dialects.

use std::{fmt, sync::Arc};

use http::Uri;

use super::{answer::Answer, error::DialectError, step::Step};

/// Reads the answers of one kind of API.
///
/// It has no state of its own: what the meaning of a later answer depends on
/// is in the [`Answer`]. So a call can go on in another process.
pub trait Dialect: fmt::Debug + Send + Sync {
    /// A name of this dialect's own. It stands in a
    /// [`PendingJob`](crate::PendingJob) that goes on in another process.
    fn name(&self) -> &str;

    /// Whether this dialect is to read the answers of a call, by the status
    /// and the headers of the answer to its submission. The answer has no body
    /// and has announced nothing here. Asked once per call, and of the
    /// built-in ones only where that head looks pending.
    fn recognises(&self, answer: &Answer<'_>) -> bool;

    /// What an answer says. Called for the answer to the submission and for
    /// that to each poll: with its head, and where that comes to
    /// [`Step::NeedsBody`] once more, with its body.
    ///
    /// Not called for a poll that failed and is
    /// [repeated](crate::PollLayer::poll_retries), nor for one that was
    /// answered with 401.
    ///
    /// # Errors
    ///
    /// An error ends the call. The caller gets it as the source of an
    /// [`Error`](crate::Error) that has the pending job.
    fn read(&self, answer: &Answer<'_>) -> Result<Step, DialectError>;

    /// Returns whether the answers to polls are documents that the layer alone
    /// reads, and never the response itself. Such polls ask for no content
    /// coding, since the layer may not know those that the caller asks for.
    /// False by default.
    fn polls_documents(&self) -> bool {
        false
    }

    /// Where DELETE cancels the job that is polled for at `url`. It must be of
    /// the same origin. `None` where DELETE is not the way to cancel: then
    /// none is sent. `url` itself by default.
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
