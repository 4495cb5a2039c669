//! The future of a call.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use http::{Request, Response};
use http_body::Body;
use pin_project_lite::pin_project;
use tower::Service;

use crate::{
    client::Client,
    config::Shared,
    error::{Error, Kind},
    policy::poll_policy::PollPolicy,
    polling::{BoxPolling, Polling},
    request::{Caller, Submission, may_be_pending},
    session::{Clock, Session, Verdict},
};

pin_project! {
    /// The future of a [`PollService`](crate::PollService): resolves to the
    /// final response.
    ///
    /// Dropping it stops polling. An accepted job goes on; its URL is lost
    /// with the future.
    ///
    /// `Client<B, R>` in its bounds is any cloneable [`Service`] from
    /// `Request<B>` to `Response<R>` with an error that converts to a
    /// [`BoxError`](tower::BoxError).
    ///
    /// # Panics
    ///
    /// Polling it panics outside of a tokio runtime with a timer, if there is
    /// a delay to wait for.
    ///
    /// ```
    /// use tower::{Layer, Service};
    /// use tower_poll::{PollFuture, PollLayer};
    /// # use http::{Request, Response};
    /// # let client = tower::service_fn(async |_: Request<String>| {
    /// #     Ok::<_, tower::BoxError>(Response::new(String::new()))
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
        // The submission is in flight. A call that is answered at once has no
        // other state.
        Submitted {
            #[pin]
            future: S::Future,
            service: S,
            shared: Arc<Shared<P>>,
            submission: Submission,
            // The wishes of the caller; few calls have one.
            caller: Option<Box<Caller>>,
        },
        // The answer was pending.
        Polling {
            polling: BoxPolling<S, B, R, P>,
        },
        Done,
    }
}

impl<S: Service<Request<B>>, B, R, P> PollFuture<S, B, R, P> {
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

impl<S: Client<B, R>, B: Default, R: Body, P: PollPolicy + Clone> Future
    for PollFuture<S, B, R, P>
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
                        answer => {
                            return Poll::Ready(
                                answer
                                    .map_err(|error| Error::new(Kind::Service).with_source(error)),
                            );
                        }
                    };
                    let is_grpc = submission.is_grpc();
                    let begun = begin(state.as_mut(), response);
                    match begun.map_err(|error| error.for_caller(is_grpc))? {
                        Begun::Polling(polling) => state.set(State::Polling { polling }),
                        Begun::Final(response) => return Poll::Ready(Ok(response)),
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

impl<S: Client<B, R>, B: Default, R: Body, P: PollPolicy + Clone> PollFuture<S, B, R, P> {
    /// Gives the beginning of the call. Must not be called again after that.
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
        // `PollService::submit` does not wait, and needs no pending answer.
        if let Some(caller) = caller {
            caller.does_not_wait = false;
        }
        let response = answer.map_err(|error| Error::new(Kind::Service).with_source(error))?;
        Poll::Ready(if is_looked_at(&response, shared) {
            begin(state, response)
        } else {
            Ok(Begun::Final(response))
        })
    }

    /// Takes the part that polls, if it polls for a job that can be cancelled.
    /// The future is over then.
    pub(crate) fn take_polling(self: Pin<&mut Self>) -> Option<BoxPolling<S, B, R, P>> {
        match self.project().state.project_replace(State::Done) {
            StateOwned::Polling { polling } => polling.may_be_cancelled().then_some(polling),
            _ => None,
        }
    }
}

/// The beginning of a call.
pub(crate) enum Begun<S, B, R, P>
where
    S: Service<Request<B>>,
{
    /// The answer to the submission is the response.
    Final(Response<R>),
    /// It is pending, or has to be read to the end.
    Polling(BoxPolling<S, B, R, P>),
}

/// Ready if the caller stops waiting.
fn poll_stop<T>(caller: &mut Option<Box<Caller>>, cx: &mut Context<'_>) -> Poll<Result<T, Error>> {
    match caller {
        Some(caller) => caller.poll_stop(cx).map(|_| Err(Error::new(Kind::Stopped))),
        None => Poll::Pending,
    }
}

/// Returns whether the answer to a submission may be pending, or concern a
/// dialect of the layer.
#[inline(always)]
fn is_looked_at<R, P>(response: &Response<R>, shared: &Shared<P>) -> bool {
    may_be_pending(response.status(), response.headers()) || !shared.config.dialects.is_empty()
}

/// Goes from `Submitted` to the start of polling, or gives the response back
/// if it is final after all.
#[cold]
#[inline(never)]
fn begin<S: Client<B, R>, B: Default, R: Body, P: PollPolicy + Clone>(
    state: Pin<&mut State<S, B, R, P>>,
    mut response: Response<R>,
) -> Result<Begun<S, B, R, P>, Error> {
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
    let mut session = Session::start(sent, uri, shared, clock);
    session.recognise(response.status(), response.headers());
    let verdict = session.read(response.status(), response.headers(), now);
    if let Ok(Verdict::Final) = verdict {
        if let Some(status) = session.final_status(response.status()) {
            *response.status_mut() = status;
        }
        return Ok(Begun::Final(response));
    }
    let mut polling = Polling::begin(Box::new_uninit(), service, session, now);
    let handed = polling.as_mut().start(verdict, response, now)?;
    Ok(handed.map_or(Begun::Polling(polling), Begun::Final))
}

impl<S: Service<Request<B>>, B, R, P> fmt::Debug for PollFuture<S, B, R, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match &self.state {
            State::Submitted { .. } => "submitted",
            State::Polling { .. } => "polling",
            State::Done => "done",
        };
        f.debug_struct("PollFuture").field("state", &state).finish()
    }
}
