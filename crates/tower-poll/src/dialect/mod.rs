//! How APIs say that work goes on.
//!
//! Most say it by status and headers alone: 3xx with `Retry-After`, 202 with
//! `Location` or `Content-Location`, `Job-Status`. Others answer every poll
//! with 200 and a document that says in JSON whether the work is done, and
//! where its result is. A [`Dialect`] knows how to read one of those.
//!
//! The built-in ones are recognised by the head of the answer to a
//! submission, and nothing has to be set. One that cannot be recognised so,
//! or one of your own, is put [onto the layer](crate::PollLayer::dialect).

mod answer;
mod chosen;
mod error;

use std::{fmt, time::Duration};

use http::{StatusCode, Uri};
use http_polling::{JobState, Pending, Problem, Progress};

pub(crate) use self::{
    answer::{AZURE_ASYNC_OPERATION, OPERATION_LOCATION},
    chosen::{Chosen, Spoken},
};
pub use self::{
    answer::{Announced, Answer},
    error::DialectError,
};

/// Those that are recognised without being put onto the layer.
pub(crate) fn built_in() -> &'static [&'static dyn Dialect] {
    &[]
}

/// Reads the answers of one kind of API.
///
/// It has no state of its own: what the meaning of a later answer depends on
/// is in the [`Answer`]. So a call can go on in another process.
pub trait Dialect: fmt::Debug + Send + Sync {
    /// A name of this dialect's own. It stands in a
    /// [`PendingJob`](crate::PendingJob) that goes on in another process.
    fn name(&self) -> &'static str;

    /// Whether this dialect is to read the answers of a call, by the head of
    /// the answer to its submission, which has no body here. Asked once per
    /// call, and of the built-in ones only where that head looks pending.
    fn recognises(&self, answer: &Answer<'_>) -> bool;

    /// What an answer says. Called for the answer to the submission and for
    /// that to each poll: with its head, and where that comes to
    /// [`Step::NeedsBody`] once more, with its body.
    ///
    /// # Errors
    ///
    /// An error ends the call. The caller gets it as the source of an
    /// [`Error`](crate::Error) that has the pending job.
    fn read(&self, answer: &Answer<'_>) -> Result<Step, DialectError>;
}

/// What an answer means.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Step {
    /// What its status and headers say by themselves
    /// ([`Exchange::read`](http_polling::Exchange::read)).
    AsHead,
    /// The head does not tell. To be returned only where [`Answer::body`] is
    /// `None`.
    NeedsBody,
    /// The work goes on.
    Pending(Interim),
    /// The work is done, and this answer is the response. Where its body has
    /// been read to know that, it is fetched again from the same URL.
    Done,
    /// The work is done, and this answer is the response but for its status.
    DoneAs(StatusCode),
    /// The work is done, and the response is to be had by GET from there.
    Fetch(Uri),
    /// The work has ended in this state, without a response.
    Failed(JobState, Option<Box<Problem>>),
}

/// What a pending answer says.
///
/// ```
/// use http::Uri;
/// use tower_poll::dialect::Interim;
///
/// let interim = Interim::at(Uri::from_static("https://example.com/jobs/7"));
/// assert_eq!(interim.retry_after, None);
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Interim {
    /// Where to ask next.
    pub url: Uri,
    /// How long to wait. `None` where the answer does not say.
    pub retry_after: Option<Duration>,
    /// Where the job stands.
    pub state: Option<JobState>,
    /// How far it has come.
    pub progress: Option<Progress>,
}

impl From<Pending> for Interim {
    fn from(pending: Pending) -> Self {
        Self {
            url: pending.uri,
            retry_after: pending.retry_after,
            state: pending.state,
            progress: None,
        }
    }
}

impl Interim {
    /// Pending at `url`, and nothing more.
    #[must_use]
    pub fn at(url: Uri) -> Self {
        Self {
            url,
            retry_after: None,
            state: None,
            progress: None,
        }
    }
}
