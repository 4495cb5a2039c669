//! What is told of a call while it goes on.

use std::{fmt, sync::Arc, time::Duration};

use http::{Response, StatusCode, Uri};
use http_polling::{JobState, Progress};
use serde_json::Value;
use tokio::sync::watch;

use crate::redact::Redacted;

/// A pending answer, as it is told to whoever watches a call: an
/// [observer](crate::PollLayer::observe) of the layer, a [`PollProgress`] of
/// the request, or the holder of a [`Job`](crate::Job).
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

/// What an update tells.
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
    pub(crate) fn new(told: Inner) -> Self {
        Self(Arc::new(told))
    }

    /// How many polls were sent so far. 0 tells of the answer to the
    /// submission.
    #[must_use]
    pub fn polls(&self) -> u32 {
        self.0.polls
    }

    /// The URL that is polled next.
    #[must_use]
    pub fn url(&self) -> &Uri {
        &self.0.url
    }

    /// The status of the answer. 502 stands for a poll that was not answered
    /// and is repeated.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.0.status
    }

    /// How long after the answer the next poll is sent.
    #[must_use]
    pub fn delay(&self) -> Duration {
        self.0.delay
    }

    /// How long ago the submission was sent, or the call resumed.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.0.elapsed
    }

    /// How long the server asks to wait, unclamped, if it does.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// How many polls have failed in a row and are repeated. 0 if all is well.
    #[must_use]
    pub fn retries(&self) -> u32 {
        self.0.retries
    }

    /// Where the job stands, if the server says so.
    #[must_use]
    pub fn state(&self) -> Option<JobState> {
        self.0.state
    }

    /// How far the job has come, if the server says so: in a status document
    /// ([`http_polling::StatusDocument`]) or in one of a
    /// [`Dialect`](crate::dialect::Dialect).
    #[must_use]
    pub fn progress(&self) -> Option<&Progress> {
        self.0.progress.as_ref()
    }

    /// The body of the answer, if it is JSON and within the
    /// [limit](crate::PollLayer::drain_limit).
    #[must_use]
    pub fn document(&self) -> Option<&Value> {
        self.0.document.as_ref()
    }

    /// The answer's `X-Progress`, as FHIR servers send it: a text for people.
    #[must_use]
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

/// What is new of a [`Job`](crate::Job). There is nothing else that can be.
#[derive(Debug)]
pub enum Update<R> {
    /// It is pending still.
    Pending(PollUpdate),
    /// Its response, after which there is nothing more.
    Final(Response<R>),
}

/// Put into a request's extensions, it tells the progress of that call.
///
/// Made with the receiver by [`channel`](Self::channel). The receiver holds
/// the latest update, `None` before the first, and sees the channel closed at
/// the end of the call.
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
    /// Both ends.
    #[must_use]
    pub fn channel() -> (Self, watch::Receiver<Option<PollUpdate>>) {
        let (sender, receiver) = watch::channel(None);
        (Self(sender), receiver)
    }

    pub(crate) fn notify(&self, update: &PollUpdate) {
        self.0.send_replace(Some(update.clone()));
    }
}
