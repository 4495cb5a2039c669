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
use http_polling::{Exchange, JOB_STATUS, Reading};
use pin_project_lite::pin_project;
use tower::{BoxError, Service};

use crate::{
    Error, PollPolicy,
    clock::Clock,
    config::Shared,
    dialect::{Announced, Answer, Chosen, Spoken},
    polling::Polling,
    session::{Session, Verdict},
    submission::{Submission, may_be_pending},
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
        },
        // The answer was pending.
        Polling {
            polling: Pin<Box<Polling<S, B, R, P>>>,
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
                StateProj::Submitted { .. } => match ready!(poll_submission(state.as_mut(), cx))? {
                    Ok(polling) => state.set(State::Polling { polling }),
                    Err(response) => return Poll::Ready(Ok(response)),
                },
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
        poll_submission(self.project().state, cx)
    }

    /// The request that cancels the job, if one is being polled for, and the
    /// service to send it through. The future is over by that.
    pub(crate) fn take_cancellation(self: Pin<&mut Self>) -> Option<(S, Request<B>)> {
        match self.project().state.project_replace(State::Done) {
            StateOwned::Polling { polling } => Some(polling.cancellation()),
            _ => None,
        }
    }
}

/// The start of polling, or the response if it is final.
pub(crate) type Begun<S, B, R, P> = Result<Pin<Box<Polling<S, B, R, P>>>, Response<R>>;

#[inline(always)]
fn poll_submission<S, B, R, P>(
    mut state: Pin<&mut State<S, B, R, P>>,
    cx: &mut Context<'_>,
) -> Poll<Result<Begun<S, B, R, P>, Error>>
where
    S: Service<Request<B>, Response = Response<R>> + Clone,
    S::Error: Into<BoxError>,
    B: Default,
    R: Body,
    P: PollPolicy + Clone,
{
    let StateProj::Submitted {
        future,
        submission,
        shared,
        ..
    } = state.as_mut().project()
    else {
        panic!("`PollFuture` polled after completion");
    };
    let Poll::Ready(answer) = future.poll(cx) else {
        return match &mut submission.caller {
            Some(caller) => caller.poll_stop(cx).map(|_| Err(Error::stopped())),
            None => Poll::Pending,
        };
    };
    Poll::Ready(match answer {
        Ok(response)
            if may_be_pending(response.status(), response.headers())
                || !shared.config.dialects.is_empty() =>
        {
            begin(state, response)
        }
        Ok(response) => Ok(Err(response)),
        Err(error) => Err(Error::service(error)),
    })
}

/// Goes from `Submitted` to the start of polling, or gives the response back
/// if it is final after all.
#[cold]
#[inline(never)]
fn begin<S, B, R, P>(
    state: Pin<&mut State<S, B, R, P>>,
    mut response: Response<R>,
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
        ..
    } = state.project_replace(State::Done)
    else {
        unreachable!("called in the state `Submitted` only");
    };
    let clock = Clock::start_now();
    let now = clock.start();
    let (sent, uri) = submission.restore();
    let (status, headers) = (response.status(), response.headers());
    let mut spoken = None;
    if !headers.contains_key(JOB_STATUS)
        && (status.is_success() || !shared.config.dialects.is_empty())
    {
        let announced = Announced::default();
        let answer = Answer::new(&sent.method, &uri, &announced, status, headers);
        spoken = Chosen::recognise(&answer, &shared.config.dialects).map(|dialect| {
            let spoken = Spoken {
                method: sent.method.clone(),
                submission: uri.clone(),
                announced,
            };
            (dialect, spoken)
        });
    }
    let (session, verdict) = if let Some((dialect, spoken)) = spoken {
        let mut session = Session::start(sent, uri, shared, clock);
        session.speak(dialect, spoken);
        match session.read_in_dialect(status, headers, None, now)? {
            Verdict::Final => return Ok(Err(response)),
            Verdict::FinalAs(status) => {
                *response.status_mut() = status;
                return Ok(Err(response));
            }
            verdict => (session, verdict),
        }
    } else {
        let exchange = Exchange {
            method: &sent.method,
            uri: &uri,
            polling: false,
        };
        let reading = exchange
            .read(status, headers, clock.start_wall())
            .map_err(Error::bad_location)?;
        let Reading::Pending(pending) = reading else {
            return Ok(Err(response));
        };
        let session = Session::start(sent, uri, shared, clock);
        (session, Verdict::Pending(pending.into()))
    };
    let does_not_wait = session
        .caller
        .as_ref()
        .is_some_and(|caller| caller.does_not_wait);
    let mut polling = Box::pin(Polling::new(service, session, now));
    if does_not_wait && let Verdict::Pending(interim) = verdict {
        let headers = response.headers().clone();
        polling.as_mut().pend(interim, status, headers, None, now)?;
        if let Some(job) = polling.job() {
            response.extensions_mut().insert(job);
        }
        return Ok(Err(response));
    }
    polling.as_mut().take(verdict, response, now)?;
    Ok(Ok(polling))
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
