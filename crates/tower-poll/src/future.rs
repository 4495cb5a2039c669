//! The future of a call.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use http::{Request, Response, Uri};
use http_body::Body;
use http_polling::{Exchange, Reading};
use pin_project_lite::pin_project;
use tokio::time::Instant;
use tower::{BoxError, Service};

use crate::{
    Error, PollPolicy,
    caller::Caller,
    clock::Clock,
    config::Shared,
    dialect::{Announced, Answer, Chosen, Spoken},
    polling::{BoxPolling, Polling},
    session::{Session, Verdict},
    submission::{Sent, Submission, may_be_pending},
};

pin_project! {
    /// The future of a [`PollService`](crate::PollService): resolves to the
    /// final response.
    ///
    /// Dropping it stops polling. The job itself, once accepted, goes on; its
    /// URL is lost with the future.
    ///
    /// # Panics
    ///
    /// Where a delay is to be waited for, polling it panics outside of a
    /// tokio runtime with its timer enabled.
    ///
    /// ```
    /// use tower::{Layer, Service};
    /// use tower_poll::{PollFuture, PollLayer};
    /// # use http::{Request, Response};
    /// # use http_body_util::Empty;
    /// # use bytes::Bytes;
    /// # let client = tower::service_fn(|_: Request<Empty<Bytes>>| async {
    /// #     Ok::<_, std::convert::Infallible>(Response::new(Empty::<Bytes>::new()))
    /// # });
    ///
    /// let mut service = PollLayer::new().layer(client);
    /// let future: PollFuture<_, _, _, _> = service.call(Request::default());
    /// ```
    #[must_use = "futures do nothing unless polled"]
    pub struct PollFuture<S, B, R, P>
    where
        S: Service<Request<B>>,
    {
        #[pin]
        state: State<S, B, R, P>,
    }
}

pin_project! {
    #[project = StateProj]
    #[project_replace = StateOwned]
    enum State<S, B, R, P>
    where
        S: Service<Request<B>>,
    {
        // The submission is under way. This is all there is to a call that
        // is answered at once.
        Submitted {
            #[pin]
            future: S::Future,
            service: S,
            shared: Arc<Shared<P>>,
            submission: Submission,
            // What the caller asked for beside; few do.
            caller: Option<Box<Caller>>,
        },
        // The answer was pending.
        Polling {
            polling: BoxPolling<S, B, R, P>,
        },
        Done,
    }
}

impl<S, B, R, P> PollFuture<S, B, R, P>
where
    S: Service<Request<B>>,
{
    // Inlined by force, since a call would have to move all of it.
    #[inline(always)]
    pub(crate) fn new(
        submission: Submission,
        caller: Option<Box<Caller>>,
        future: S::Future,
        service: S,
        shared: Arc<Shared<P>>,
    ) -> Self {
        Self {
            state: State::Submitted {
                future,
                service,
                shared,
                submission,
                caller,
            },
        }
    }
}

impl<S, B, R, P> Future for PollFuture<S, B, R, P>
where
    S: Service<Request<B>, Response = Response<R>> + Clone,
    S::Error: Into<BoxError>,
    B: Default,
    R: Body,
    P: PollPolicy + Clone,
{
    type Output = Result<Response<R>, Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.project().state;
        loop {
            match state.as_mut().project() {
                StateProj::Submitted {
                    future,
                    shared,
                    submission,
                    caller,
                    ..
                } => {
                    let Poll::Ready(answer) = future.poll(cx) else {
                        let stopped = ready!(poll_stop(caller, cx));
                        let is_grpc = submission.is_grpc();
                        return Poll::Ready(stopped.map_err(|error| error.for_caller(is_grpc)));
                    };
                    let response = match answer {
                        Ok(response) if is_looked_at(&response, shared) => response,
                        answer => return Poll::Ready(answer.map_err(Error::service)),
                    };
                    let is_grpc = submission.is_grpc();
                    let begun = begin(state.as_mut(), response);
                    match begun.map_err(|error| error.for_caller(is_grpc))? {
                        Ok(polling) => state.set(State::Polling { polling }),
                        Err(response) => return Poll::Ready(Ok(response)),
                    }
                }
                StateProj::Polling { polling } => {
                    let output = ready!(polling.as_mut().poll(cx));
                    state.set(State::Done);
                    return Poll::Ready(output);
                }
                StateProj::Done => panic!("`PollFuture` polled after completion"),
            }
        }
    }
}

impl<S, B, R, P> PollFuture<S, B, R, P>
where
    S: Service<Request<B>, Response = Response<R>> + Clone,
    S::Error: Into<BoxError>,
    B: Default,
    R: Body,
    P: PollPolicy + Clone,
{
    /// Gives what comes of the submission. Must not be called again after
    /// that.
    pub(crate) fn poll_begun(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Begun<S, B, R, P>, Error>> {
        let mut state = self.project().state;
        let StateProj::Submitted {
            future,
            shared,
            caller,
            ..
        } = state.as_mut().project()
        else {
            panic!("`PollFuture` polled after completion");
        };
        let Poll::Ready(answer) = future.poll(cx) else {
            return poll_stop(caller, cx);
        };
        // Who asks in this way does not wait, and wants no pending answer.
        if let Some(caller) = caller {
            caller.does_not_wait = false;
        }
        let response = answer.map_err(Error::service)?;
        Poll::Ready(if is_looked_at(&response, shared) {
            begin(state, response)
        } else {
            Ok(Err(response))
        })
    }

    /// The part that polls for the job, if one is being polled for that can be
    /// cancelled. The future is over by that.
    pub(crate) fn take_polling(self: Pin<&mut Self>) -> Option<BoxPolling<S, B, R, P>> {
        match self.project().state.project_replace(State::Done) {
            StateOwned::Polling { polling } => polling.may_be_cancelled().then_some(polling),
            _ => None,
        }
    }
}

/// The start of polling, or the response if it is final.
pub(crate) type Begun<S, B, R, P> = Result<BoxPolling<S, B, R, P>, Response<R>>;

/// Ready if the caller does not want to wait any more.
fn poll_stop<T>(caller: &mut Option<Box<Caller>>, cx: &mut Context<'_>) -> Poll<Result<T, Error>> {
    match caller {
        Some(caller) => caller.poll_stop(cx).map(|_| Err(Error::stopped())),
        None => Poll::Pending,
    }
}

/// Whether the answer to a submission is worth a closer look.
#[inline(always)]
fn is_looked_at<R, P>(response: &Response<R>, shared: &Shared<P>) -> bool {
    may_be_pending(response.status(), response.headers()) || !shared.config.dialects.is_empty()
}

/// Goes from `Submitted` to the start of polling, or gives the response back
/// if it is final after all.
#[cold]
#[inline(never)]
fn begin<S, B, R, P>(
    state: Pin<&mut State<S, B, R, P>>,
    response: Response<R>,
) -> Result<Begun<S, B, R, P>, Error>
where
    S: Service<Request<B>, Response = Response<R>> + Clone,
    S::Error: Into<BoxError>,
    B: Default,
    R: Body,
    P: PollPolicy + Clone,
{
    let StateOwned::Submitted {
        service,
        shared,
        submission,
        caller,
        ..
    } = state.project_replace(State::Done)
    else {
        unreachable!("called in the state `Submitted` only");
    };
    let clock = Clock::start_now();
    let now = clock.start();
    let (sent, uri) = submission.restore(caller);
    let may_be_in_dialect = response.status().is_success() || !shared.config.dialects.is_empty();
    let spoken = may_be_in_dialect
        .then(|| recognise(&sent, &uri, &response, &shared))
        .flatten();
    if let Some((dialect, spoken)) = spoken {
        let mut session = Session::start(sent, uri, shared, clock);
        session.speak(dialect, spoken);
        return begin_in_dialect(session, service, response, now);
    }
    let exchange = Exchange::new(&sent.method, &uri);
    let pending = match exchange.read(response.status(), response.headers(), clock.start_wall()) {
        Ok(Reading::Pending(pending)) => Ok(pending.into()),
        Ok(_) => return Ok(Err(response)),
        Err(error) => Err(error),
    };
    let session = || Session::start(sent, uri, shared, clock);
    let mut polling = Polling::begin(service, session, now);
    match pending {
        Ok(interim) if polling.is_not_waited_for() => {
            let handed = polling.as_mut().hand_over(interim, response, now)?;
            return Ok(handed.map_or(Ok(polling), Err));
        }
        Ok(interim) => polling.as_mut().pend(interim, response, now)?,
        Err(error) => polling.as_mut().fail_to_locate(error, response, now),
    }
    Ok(Ok(polling))
}

/// The dialect of an answer to a submission, if it has one.
fn recognise<R, P>(
    sent: &Sent,
    uri: &Uri,
    response: &Response<R>,
    shared: &Shared<P>,
) -> Option<(Chosen, Spoken)> {
    let (status, headers) = (response.status(), response.headers());
    let announced = Announced::default();
    let answer = Answer::new(&sent.method, uri, &announced, status, headers);
    let dialect = Chosen::recognise(&answer, &shared.config.dialects)?;
    let spoken = Spoken {
        method: sent.method.clone(),
        submission: uri.clone(),
        announced,
    };
    Some((dialect, spoken))
}

/// Like [`begin`], for an answer that a dialect has recognised.
fn begin_in_dialect<S, B, R, P>(
    mut session: Session<P>,
    service: S,
    mut response: Response<R>,
    now: Instant,
) -> Result<Begun<S, B, R, P>, Error>
where
    S: Service<Request<B>, Response = Response<R>> + Clone,
    S::Error: Into<BoxError>,
    B: Default,
    R: Body,
    P: PollPolicy,
{
    let (status, headers) = (response.status(), response.headers());
    let verdict = session.read_submission(status, headers, now);
    if let Ok(Verdict::Final) = verdict {
        if let Some(status) = session.final_status(status) {
            *response.status_mut() = status;
        }
        return Ok(Err(response));
    }
    let mut polling = Polling::begin(service, || session, now);
    match verdict {
        Ok(Verdict::Pending(interim)) if polling.is_not_waited_for() => {
            let handed = polling.as_mut().hand_over(interim, response, now)?;
            Ok(handed.map_or(Ok(polling), Err))
        }
        verdict => {
            polling.as_mut().take(verdict, response, now)?;
            Ok(Ok(polling))
        }
    }
}

impl<S, B, R, P> fmt::Debug for PollFuture<S, B, R, P>
where
    S: Service<Request<B>>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match &self.state {
            State::Submitted { .. } => "submitted",
            State::Polling { .. } => "polling",
            State::Done => "done",
        };
        f.debug_struct("PollFuture").field("state", &state).finish()
    }
}
