//! What the caller of one call asks for, by values in the request's
//! extensions.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use http::Extensions;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use crate::progress::PollProgress;

/// Put into a request's extensions, it makes the call resolve to the pending
/// answer itself, in place of waiting for the final one. That answer has the
/// [`PendingJob`](crate::PendingJob) in its extensions. A call that is
/// answered at once is not changed.
///
/// [`PollService::submit`](crate::PollService::submit) does the same by a
/// method. It is the better way for a [`Dialect`](crate::dialect::Dialect)
/// that has to read the pending answer's body; here that ends in an
/// [`Error`](crate::Error) that has the pending job.
///
/// ```
/// use http::Request;
/// use tower_poll::DoNotWait;
///
/// let mut request = Request::post("https://example.com/report").body(()).unwrap();
/// request.extensions_mut().insert(DoNotWait);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DoNotWait;

/// Put into a request's extensions, it ends the call when a token is
/// cancelled.
///
/// ```
/// use http::Request;
/// use tokio_util::sync::CancellationToken;
/// use tower_poll::Cancellation;
///
/// let token = CancellationToken::new();
/// let mut request = Request::post("https://example.com/report").body(()).unwrap();
/// request.extensions_mut().insert(Cancellation::stop_waiting(token.clone()));
/// token.cancel();
/// ```
#[derive(Clone, Debug)]
pub struct Cancellation {
    token: CancellationToken,
    remotely: bool,
}

impl Cancellation {
    /// The call ends with an error ([`is_stopped`](crate::Error::is_stopped))
    /// that has the pending job. The job goes on.
    #[must_use]
    pub fn stop_waiting(token: CancellationToken) -> Self {
        Self {
            token,
            remotely: false,
        }
    }

    /// The job is cancelled on the server by DELETE, and the call ends with
    /// an error whose [`job_state`](crate::Error::job_state) is `cancelled`.
    /// If the server will not have it, or does not answer within 30 s or the
    /// call's deadline, the error has the pending job.
    ///
    /// Before the submission is answered there is nothing yet to be
    /// cancelled: then the request is dropped.
    ///
    /// DELETE would destroy a resource that is not a job, so that none is sent
    /// where the URL that is polled may be one: without `Job-Status`, the
    /// submission's own, and one that a poll was redirected to without
    /// `Retry-After`; the response of work that is done; and where the
    /// [`Dialect`](crate::dialect::Dialect) knows of no such way. Then the
    /// error has the pending job
    /// ([`is_not_cancellable`](crate::Error::is_not_cancellable)).
    ///
    /// A [`PollPolicy`](crate::PollPolicy) prepares polls only, not the DELETE.
    #[must_use]
    pub fn cancel_remotely(token: CancellationToken) -> Self {
        Self {
            token,
            remotely: true,
        }
    }
}

/// All that was asked for. Few calls have one.
#[derive(Debug)]
pub(crate) struct Caller {
    pub(crate) does_not_wait: bool,
    pub(crate) progress: Option<PollProgress>,
    cancellation: Option<Watched>,
}

#[derive(Debug)]
struct Watched {
    cancelled: Pin<Box<WaitForCancellationFutureOwned>>,
    remotely: bool,
}

/// What to do when a token is cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    Waiting,
    Job,
}

impl Caller {
    pub(crate) fn take(extensions: &mut Extensions) -> Option<Box<Self>> {
        let caller = Self {
            does_not_wait: extensions.remove::<DoNotWait>().is_some(),
            progress: extensions.remove::<PollProgress>(),
            cancellation: extensions.remove::<Cancellation>().map(|asked| Watched {
                cancelled: Box::pin(asked.token.cancelled_owned()),
                remotely: asked.remotely,
            }),
        };
        let asks =
            caller.does_not_wait || caller.progress.is_some() || caller.cancellation.is_some();
        asks.then(|| Box::new(caller))
    }

    /// Ready once the token is cancelled, and then never again.
    pub(crate) fn poll_stop(&mut self, cx: &mut Context<'_>) -> Poll<Stop> {
        let Some(watched) = &mut self.cancellation else {
            return Poll::Pending;
        };
        if watched.cancelled.as_mut().poll(cx).is_pending() {
            return Poll::Pending;
        }
        let stop = if watched.remotely {
            Stop::Job
        } else {
            Stop::Waiting
        };
        self.cancellation = None;
        Poll::Ready(stop)
    }
}
