//! Wishes of a caller for one call, as values in the request's extensions.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use futures_util::future::{FutureExt, Shared};
use http::Extensions;

use crate::progress::PollProgress;

/// Put into a request's extensions, it makes the call resolve to the pending
/// answer itself, without waiting for the final one. That answer has the
/// [`PendingJob`](crate::PendingJob) in its extensions. A call that is
/// answered at once is not changed.
///
/// [`PollService::submit`](crate::PollService::submit) does the same as a
/// method. It also supports a [`Dialect`](crate::dialect::Dialect) that has to
/// read the pending answer's body; here that ends in an
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

/// Put into a request's extensions, it ends the call when a future is ready:
/// that of a token, a channel or a timer. A clone ends the call of its own
/// request by the same future.
///
/// # Panics
///
/// If the future panics, the call that polls it panics, and then the calls of
/// all clones.
///
/// ```
/// use http::Request;
/// use tower_poll::StopSignal;
///
/// let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
/// let signal = StopSignal::stop_waiting(async { drop(stopped.await) });
/// let mut request = Request::post("https://example.com/report").body(()).unwrap();
/// request.extensions_mut().insert(signal);
/// drop(stop);
/// ```
#[derive(Clone, Debug)]
pub struct StopSignal {
    signal: Shared<Pin<Box<dyn Future<Output = ()> + Send>>>,
    stop: Stop,
}

impl StopSignal {
    /// Ends the call with an error ([`is_stopped`](crate::Error::is_stopped))
    /// that has the pending job. The job goes on.
    #[must_use]
    pub fn stop_waiting(signal: impl Future<Output = ()> + Send + 'static) -> Self {
        Self::new(signal, Stop::Waiting)
    }

    /// Cancels the job on the server by DELETE, and ends the call with an
    /// error whose [`job_state`](crate::Error::job_state) is `cancelled`. If
    /// the server refuses, or does not answer within 30 s or the call's
    /// deadline, the error has the pending job.
    ///
    /// Until the submission is answered there is no job to cancel: then the
    /// request is dropped.
    ///
    /// DELETE would destroy a resource that is not a job. None is sent if the
    /// URL that is polled may be one: without `Job-Status`, the submission's
    /// own, and one that a poll was redirected to without `Retry-After`; the
    /// response of work that is done; and if the
    /// [`Dialect`](crate::dialect::Dialect) has no such method. Then the error
    /// has the pending job
    /// ([`is_not_cancellable`](crate::Error::is_not_cancellable)).
    ///
    /// A [`PollPolicy`](crate::PollPolicy) prepares polls only, not the DELETE.
    #[must_use]
    pub fn cancel_remotely(signal: impl Future<Output = ()> + Send + 'static) -> Self {
        Self::new(signal, Stop::Job)
    }

    fn new(signal: impl Future<Output = ()> + Send + 'static, stop: Stop) -> Self {
        let signal: Pin<Box<dyn Future<Output = ()> + Send>> = Box::pin(signal);
        Self {
            signal: signal.shared(),
            stop,
        }
    }
}

/// The wishes of a caller. Few calls have one.
#[derive(Debug)]
pub(crate) struct Caller {
    pub(crate) does_not_wait: bool,
    pub(crate) progress: Option<PollProgress>,
    signal: Option<StopSignal>,
}

/// The thing that a signal stops.
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
            signal: extensions.remove::<StopSignal>(),
        };
        let asks = caller.does_not_wait || caller.progress.is_some() || caller.signal.is_some();
        asks.then(|| Box::new(caller))
    }

    /// Ready when the call has to stop, and then never again.
    pub(crate) fn poll_stop(&mut self, cx: &mut Context<'_>) -> Poll<Stop> {
        let Some(StopSignal { signal, stop }) = &mut self.signal else {
            return Poll::Pending;
        };
        ready!(signal.poll_unpin(cx));
        let stop = *stop;
        self.signal = None;
        Poll::Ready(stop)
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;
    use tokio_test::{assert_pending, assert_ready_eq, task};

    use super::*;

    #[test]
    fn signal_stops_the_call_of_every_clone_and_each_once() {
        let (stop, stopped) = oneshot::channel::<()>();
        let signal = StopSignal::cancel_remotely(async { drop(stopped.await) });
        let mut tasks = [0, 1, 2].map(|_| {
            let mut extensions = Extensions::new();
            extensions.insert(signal.clone());
            task::spawn(Caller::take(&mut extensions).unwrap())
        });
        for task in &mut tasks {
            assert_pending!(task.enter(|cx, mut caller| caller.poll_stop(cx)));
        }
        drop(stop);
        for task in &mut tasks {
            assert!(task.is_woken());
            assert_ready_eq!(task.enter(|cx, mut caller| caller.poll_stop(cx)), Stop::Job);
            assert_pending!(task.enter(|cx, mut caller| caller.poll_stop(cx)));
        }
    }
}
