//! The progress of a call.

use std::{fmt, sync::Arc, time::Duration};

use http::{Response, StatusCode, Uri};
use http_polling::{JobState, Progress};
use serde_json::Value;
use tokio::sync::watch;

use crate::redact::Redacted;

/// A pending answer, for an [observer](crate::PollLayer::observe) of the
/// layer, a [`PollProgress`] of the request, or the holder of a
/// [`Job`](crate::Job).
///
/// ```
/// use tower_poll::{PollLayer, PollUpdate};
///
/// let layer = PollLayer::new().observe(|update: &PollUpdate| {
///     if let Some(progress) = update.progress() {
///         println!("{progress}, asked {} times", update.polls());
///     }
/// });
/// ```
#[derive(Clone)]
pub struct PollUpdate(Arc<Inner>);

/// The content of an update.
pub(crate) struct Inner {
    pub(crate) polls: u32,
    pub(crate) url: Uri,
    pub(crate) status: StatusCode,
    pub(crate) delay: Duration,
    pub(crate) elapsed: Duration,
    pub(crate) retry_after: Option<Duration>,
    pub(crate) retries: u32,
    pub(crate) state: Option<JobState>,
    pub(crate) progress: Option<Progress>,
    pub(crate) document: Option<Value>,
    pub(crate) x_progress: Option<String>,
}

impl PollUpdate {
    pub(crate) fn new(inner: Inner) -> Self {
        Self(Arc::new(inner))
    }

    /// The number of polls that were sent so far. 0 for the answer to the
    /// submission.
    pub fn polls(&self) -> u32 {
        self.0.polls
    }

    /// The URL of the next poll.
    pub fn url(&self) -> &Uri {
        &self.0.url
    }

    /// The status of the answer. 502 if a poll had no answer and is repeated.
    pub fn status(&self) -> StatusCode {
        self.0.status
    }

    /// The delay of the next poll after the answer.
    pub fn delay(&self) -> Duration {
        self.0.delay
    }

    /// The time since the submission was sent, or the call resumed.
    pub fn elapsed(&self) -> Duration {
        self.0.elapsed
    }

    /// The delay that the server asks for, unclamped, if it does.
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// The number of polls that have failed in a row and are repeated.
    pub fn retries(&self) -> u32 {
        self.0.retries
    }

    /// The state of the job, if the answer has one.
    pub fn state(&self) -> Option<JobState> {
        self.0.state
    }

    /// The progress of the job, if the answer has it: in a status document
    /// ([`http_polling::StatusDocument`]) or in one of a
    /// [`Dialect`](crate::dialect::Dialect).
    pub fn progress(&self) -> Option<&Progress> {
        self.0.progress.as_ref()
    }

    /// The body of the answer, if it is JSON and within the
    /// [limit](crate::PollLayer::drain_limit).
    pub fn document(&self) -> Option<&Value> {
        self.0.document.as_ref()
    }

    /// The answer's `X-Progress`, a text for people, as FHIR servers send it.
    pub fn x_progress(&self) -> Option<&str> {
        self.0.x_progress.as_deref()
    }
}

impl fmt::Debug for PollUpdate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PollUpdate")
            .field("polls", &self.0.polls)
            .field("url", &Redacted(&self.0.url))
            .field("status", &self.0.status)
            .field("delay", &self.0.delay)
            .field("elapsed", &self.0.elapsed)
            .field("retry_after", &self.0.retry_after)
            .field("retries", &self.0.retries)
            .field("state", &self.0.state)
            .field("progress", &self.0.progress)
            .field("x_progress", &self.0.x_progress)
            .finish_non_exhaustive()
    }
}

/// A change of a [`Job`](crate::Job). There is no third kind.
#[derive(Debug)]
pub enum Update<R> {
    /// The job is still pending.
    Pending(PollUpdate),
    /// The response, which is the last update.
    Final(Response<R>),
}

/// Put into a request's extensions, it sends the progress of that call.
///
/// [`channel`](Self::channel) makes it with the receiver. The receiver holds
/// the latest update, `None` before the first, and is closed at the end of the
/// call.
///
/// ```
/// use http::Request;
/// use tower_poll::PollProgress;
///
/// let (progress, mut updates) = PollProgress::channel();
/// let mut request = Request::post("https://example.com/report").body(()).unwrap();
/// request.extensions_mut().insert(progress);
///
/// let show = async move {
///     while updates.changed().await.is_ok() {
///         let update = updates.borrow_and_update();
///         if let Some(progress) = update.as_ref().and_then(|update| update.progress()) {
///             println!("{progress}");
///         }
///     }
/// };
/// ```
#[derive(Clone, Debug)]
pub struct PollProgress(watch::Sender<Option<PollUpdate>>);

impl PollProgress {
    /// Creates both ends.
    #[must_use]
    pub fn channel() -> (Self, watch::Receiver<Option<PollUpdate>>) {
        let (sender, receiver) = watch::channel(None);
        (Self(sender), receiver)
    }

    pub(crate) fn notify(&self, update: &PollUpdate) {
        self.0.send_replace(Some(update.clone()));
    }
}
