//! The handler's view of its job: reports and cancellation.

use std::{
    fmt,
    pin::pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU8, Ordering},
    },
};

use http_polling::Progress;
use serde_json::Value;
use tower_async_job_core::{JobHandle, Json};

use super::{
    outbox::{Outbox, Rare},
    reason::CancelReason,
};
use crate::shorten::shorten;

/// The longest message that is kept, in bytes.
const LONGEST_MESSAGE: usize = 1024;

/// A handler's view of the job that its request is or may become.
///
/// [`AsyncJobLayer`] adds one to the extensions of every request that it may defer or limits. All
/// methods are cheap and can be called from any thread, before and after the request becomes a job;
/// earlier reports are kept for it. In a request that the layer does not handle,
/// [`JobContext::inert`] has the same methods without effect. A layer within another finds the
/// outer one's context, and passes the request through.
///
/// Reports are written to the store at most once per [`report_interval`]; the latest wins. A
/// partial result longer than the [`report_limit`] is dropped with a warning, as is all metadata
/// together.
///
/// ```
/// use http::{Request, Response};
/// use tower_async_job::JobContext;
///
/// async fn handler(request: Request<()>) -> Response<String> {
///     let job = JobContext::of(&request);
///     for step in 0..4 {
///         if job.is_cancelled() {
///             break;
///         }
///         // … a quarter of the work …
///         job.progress(step as f64 / 4.0);
///     }
///     Response::new("done".to_owned())
/// }
/// # let _ = handler;
/// ```
///
/// # Axum
///
/// With the feature `axum` it is an infallible extractor:
///
/// ```
/// # #[cfg(feature = "axum")] {
/// # use tower_async_job::JobContext;
/// async fn handler(job: JobContext) -> &'static str {
///     job.message("thinking");
///     "42"
/// }
/// let app: axum::Router = axum::Router::new().route("/", axum::routing::post(handler));
/// # }
/// ```
///
/// [`AsyncJobLayer`]: crate::AsyncJobLayer
/// [`report_interval`]: crate::Builder::report_interval
/// [`report_limit`]: crate::Builder::report_limit
#[derive(Clone)]
pub struct JobContext {
    pub(super) inner: Arc<Inner>,
}

/// Small, since each running job has one.
pub(super) struct Inner {
    /// The latest [`CancelReason`] in their order; 0 without one.
    pub(super) reason: AtomicU8,
    /// The store has lost the job's record.
    pub(super) missing: AtomicBool,
    pub(super) due: AtomicBool,
    /// A [`Stage`].
    pub(super) stage: AtomicU8,
    attempt: u32,
    outbox: Mutex<Outbox>,
}

/// The stage of a request on its way to become a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Stage {
    /// No job: reports have no effect.
    Inert,
    /// No job yet.
    Call,
    /// The job is being stored.
    Storing,
    /// The request is a job.
    Stored,
}

impl Stage {
    const ALL: [Self; 4] = [Self::Inert, Self::Call, Self::Storing, Self::Stored];
}

impl JobContext {
    pub(crate) fn new(attempt: u32) -> Self {
        Self::with(attempt, Stage::Call)
    }

    /// Returns a context without a job: never cancelled, and reports have no effect.
    ///
    /// ```
    /// let job = tower_async_job::JobContext::inert();
    /// job.progress(0.5);
    /// assert!(!job.is_cancelled());
    /// assert_eq!(job.attempt(), 1);
    /// ```
    #[must_use]
    pub fn inert() -> Self {
        Self::with(1, Stage::Inert)
    }

    fn with(attempt: u32, stage: Stage) -> Self {
        Self {
            inner: Arc::new(Inner {
                reason: AtomicU8::new(0),
                missing: AtomicBool::new(false),
                due: AtomicBool::new(false),
                stage: AtomicU8::new(stage as u8),
                attempt,
                outbox: Mutex::default(),
            }),
        }
    }

    /// Returns whether an outer layer has taken the request.
    pub(crate) fn is_in(extensions: &http::Extensions) -> bool {
        extensions.get::<Self>().is_some()
    }

    /// Returns the context of a request, or an inert one.
    ///
    /// ```
    /// let request = http::Request::new(());
    /// let job = tower_async_job::JobContext::of(&request);
    /// assert!(!job.is_cancelled());
    /// ```
    #[must_use]
    pub fn of<B>(request: &http::Request<B>) -> Self {
        Self::from_extensions(request.extensions())
    }

    /// Returns the context in a request's extensions, or an inert one: for frameworks such as tonic
    /// that expose extensions only.
    ///
    /// ```
    /// let extensions = http::Extensions::new();
    /// let job = tower_async_job::JobContext::from_extensions(&extensions);
    /// assert!(!job.is_cancelled());
    /// ```
    #[must_use]
    pub fn from_extensions(extensions: &http::Extensions) -> Self {
        extensions
            .get::<Self>()
            .cloned()
            .unwrap_or_else(Self::inert)
    }

    /// Reports the fraction of the work that is done, clamped to 0 to 1.
    pub fn progress(&self, fraction: f64) {
        self.update_progress(|progress| {
            let message = progress.message.take();
            *progress = Progress::fraction(fraction);
            progress.message = message;
        });
    }

    /// Reports that `done` of `total` units are done; the fraction follows from them.
    pub fn progress_of(&self, done: u64, total: u64) {
        self.update_progress(|progress| {
            let message = progress.message.take();
            *progress = Progress::of(done, total);
            progress.message = message;
        });
    }

    /// Describes the current step in words, cut to 1,024 bytes; the numbers stay unchanged.
    pub fn message(&self, message: impl Into<String>) {
        let mut message = message.into();
        if message.len() > LONGEST_MESSAGE {
            message = shorten(&message, LONGEST_MESSAGE).to_owned();
        }
        self.update_progress(|progress| progress.message = Some(message));
    }

    /// Publishes a partial result, which replaces the previous one.
    pub fn partial(&self, partial: impl Into<Value>) {
        if self.stage() == Stage::Inert {
            return;
        }
        // Serialised here and once, for the store and all polls.
        let partial = Json::from(partial.into());
        self.update(|rare| rare.report().partial = Some(partial));
    }

    /// Attaches the application's metadata under a key, and leaves other keys unchanged.
    pub fn metadata(&self, key: impl Into<String>, value: impl Into<Value>) {
        let (key, value) = (key.into(), value.into());
        self.update(|rare| {
            rare.metadata.insert(key, value);
            rare.report().metadata = None;
        });
    }

    /// Returns whether the work is no longer wanted: the job was cancelled, timed out or was
    /// released, or its handler's future was dropped.
    ///
    /// If a timeout or a `select!` beneath the layer drops that future, the context is cancelled at
    /// the latest when the layer has the call's answer and has read or sent its whole body. This
    /// happens after every end of a call, also a successful one, since work left in another task or
    /// thread then has no client. A handler that leaves work behind on purpose must ignore it.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.inner.reason.load(Ordering::Acquire) != 0
    }

    /// Returns the reason why the job is [cancelled](Self::is_cancelled); `None` while it is not. It may
    /// change later, for example from a request to the loss of the lease.
    ///
    /// ```
    /// use tower_async_job::{CancelReason, JobContext};
    ///
    /// async fn clean_up(job: JobContext) {
    ///     job.cancelled().await;
    ///     if job.cancel_reason() == Some(CancelReason::Requested) {
    ///         // The job will not run again: its remains can be deleted.
    ///     }
    /// }
    /// # let _ = clean_up;
    /// assert_eq!(JobContext::inert().cancel_reason(), None);
    /// ```
    #[must_use]
    pub fn cancel_reason(&self) -> Option<CancelReason> {
        CancelReason::from_rank(self.inner.reason.load(Ordering::Acquire))
    }

    /// Waits until the job is [cancelled](Self::is_cancelled). If that was
    /// [requested](CancelReason::Requested), the handler's future is dropped a
    /// [grace](crate::Builder::cancellation_grace) later, or else immediately. Cancel safe.
    pub async fn cancelled(&self) {
        let waiting = {
            let mut outbox = self.outbox();
            let rare = outbox.rare.get_or_insert_default();
            rare.waiting.get_or_insert_default().clone()
        };
        let mut notified = pin!(waiting.notified());
        // Enabled before the flag is read, so that a cancellation in between is not missed.
        notified.as_mut().enable();
        if !self.is_cancelled() {
            notified.await;
        }
    }

    /// Returns the number of this attempt at the job, from 1.
    #[must_use]
    pub fn attempt(&self) -> u32 {
        self.inner.attempt
    }

    /// Returns the handle by which operators and logs name the job. It exists before the job, and
    /// names none if the request does not become one.
    ///
    /// ```
    /// let job = tower_async_job::JobContext::inert();
    /// assert_eq!(job.handle(), job.handle());
    /// ```
    #[must_use]
    pub fn handle(&self) -> JobHandle {
        let mut outbox = self.outbox();
        let rare = outbox.rare.get_or_insert_default();
        *rare.handle.get_or_insert_with(JobHandle::random)
    }

    /// Returns the handle of the job to be. It is this one if no handle is known, which is then noted
    /// where the handler may still ask for it.
    pub(crate) fn handle_or(&self, handle: JobHandle) -> JobHandle {
        let mut outbox = self.outbox();
        if self.is_shared() {
            let rare = outbox.rare.get_or_insert_default();
            return *rare.handle.get_or_insert(handle);
        }
        let known = outbox.rare.as_ref().and_then(|rare| rare.handle);
        known.unwrap_or(handle)
    }

    /// Returns whether there is more of the context than this.
    #[inline]
    pub(crate) fn is_shared(&self) -> bool {
        Arc::strong_count(&self.inner) > 1
    }

    pub(super) fn stage(&self) -> Stage {
        Stage::ALL[usize::from(self.inner.stage.load(Ordering::Acquire))]
    }

    fn update_progress(&self, change: impl FnOnce(&mut Progress)) {
        self.update(|rare| change(rare.report().progress.get_or_insert_default()));
    }

    fn update(&self, change: impl FnOnce(&mut Rare)) {
        if self.stage() == Stage::Inert {
            return;
        }
        let driver = {
            let mut outbox = self.outbox();
            let rare = outbox.rare.get_or_insert_default();
            change(rare);
            rare.changed = true;
            outbox.driver.take()
        };
        if let Some(driver) = driver {
            driver.wake();
        }
    }

    pub(super) fn outbox(&self) -> MutexGuard<'_, Outbox> {
        // A report changes in one step, so a panic cannot leave it half-changed.
        self.inner
            .outbox
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for JobContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JobContext")
            .field("cancelled", &self.is_cancelled())
            .field("attempt", &self.attempt())
            .finish_non_exhaustive()
    }
}

#[cfg(feature = "axum")]
impl<S: Sync> axum_core::extract::FromRequestParts<S> for JobContext {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(
        parts: &mut http::request::Parts,
        _: &S,
    ) -> Result<Self, Self::Rejection> {
        Ok(Self::from_extensions(&parts.extensions))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_context_takes_no_more_than_40_bytes_of_its_own() {
        assert!(size_of::<Inner>() <= 40, "{}", size_of::<Inner>());
    }
}
