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
//! [`named`] finds one of this module by its name.
//!
//! | dialect | recognised by | pending | done | cancelled by |
//! |---|---|---|---|---|
//! | [`AzureResourceManager`] | 200, 201, 202 with `Azure-AsyncOperation` or `Operation-Location` | monitor: 200, any other `status` | `Succeeded`, then GET of the resource | no DELETE, APIs differ |
//! | [`AzureResourceManager::for_resources`] | nothing, put onto the layer: as above, and a JSON answer to PUT or PATCH | resource: 200, any other `provisioningState` | `Succeeded`, or no state | no DELETE, APIs differ |
//! | [`OgcProcesses`] | 201 with `Location`, `respond-async` applied or sent to `…/execution` | job: 200, any other `status` | `successful`, then GET of the results | DELETE of the job |
//! | [`ODataAsync`] | 202 with `Location`, `respond-async` applied or `OData-Version` | 202 | 200, its status in `AsyncResult` | DELETE of the monitor |
//! | [`FhirAsync`] | 202 with `Content-Location` alone | 202, `X-Progress` | any other answer | DELETE of the status URL |
//! | [`StatusField`] | nothing, put onto the layer: 200, 201 or 202 with `Location`, or JSON in answer to GET | 200, any other word in a member of your choice | a word such as `succeeded`, then GET of its `Location` | no DELETE, APIs differ |
//! | [`BareAccepted`] | nothing, put onto the layer: 202 to GET without any URL | 202 | any other answer | no DELETE, it is the resource |
//! | [`StatusResource`] | nothing, put onto the layer: a URL that ends in `/status` | 200, `queued` or `running` | `done`, then GET of the job | DELETE of the job |
//!
//! Words for states count in any case, and those that a dialect does not know
//! are pending, so that only the deadline ends them. What a state is read
//! from has to be there and to be a string, else the call ends in an error.

mod accept;
mod answer;
mod azure;
mod bare_accepted;
mod chosen;
mod document;
mod error;
mod fhir;
mod named;
mod odata;
mod ogc;
mod status_document;
mod status_field;

use std::{fmt, sync::Arc, time::Duration};

use http::{StatusCode, Uri};
use http_polling::{JobState, NextPoll, Problem, Progress};

pub(crate) use self::{
    answer::{AZURE_ASYNC_OPERATION, OPERATION_LOCATION},
    chosen::{Chosen, Spoken},
};
pub use self::{
    answer::{Announced, Answer},
    azure::{AzureResourceManager, FinalState},
    bare_accepted::BareAccepted,
    error::DialectError,
    fhir::FhirAsync,
    named::{NAMES, named},
    odata::ODataAsync,
    ogc::OgcProcesses,
    status_document::StatusResource,
    status_field::StatusField,
};

static AZURE: AzureResourceManager = AzureResourceManager::new();
static OGC: OgcProcesses = OgcProcesses::new();
static ODATA: ODataAsync = ODataAsync::new();
static FHIR: FhirAsync = FhirAsync::new();

/// The first one that recognises an answer reads the call, so that the more
/// particular ones come first.
static BUILT_IN: [&dyn Dialect; 4] = [&AZURE, &OGC, &ODATA, &FHIR];

/// Those that recognise an answer by its head, in the order to be asked in.
pub(crate) fn built_in() -> &'static [&'static dyn Dialect] {
    &BUILT_IN
}

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

/// What an answer means.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Step {
    /// What its status and headers say by themselves
    /// ([`Exchange::read`](http_polling::Exchange::read)). Of a poll, 404 and
    /// 410 are errors; after a DELETE they are the response, as 200.
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

impl From<NextPoll> for Interim {
    fn from(next: NextPoll) -> Self {
        Self {
            url: next.uri,
            retry_after: next.retry_after,
            state: next.state,
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

#[cfg(test)]
mod tests;
