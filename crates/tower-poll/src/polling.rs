//! The futures of polling: waiting, asking, and reading why there is no
//! answer. All of it lives in one box, made at the first pending answer.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use http::{Request, Response};
use http_body::Body;
use http_polling::{JobState, Pending, Problem, is_problem_json};
use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep, sleep_until};
use tower::{BoxError, Service, util::Oneshot};
use tracing::{Span, field::Empty};

use crate::{
    Error, PollPolicy,
    drain::{is_worth_draining, poll_collect, poll_drain},
    redact::Redacted,
    session::{Session, Verdict},
};

/// The longest problem document that is read.
const PROBLEM_LIMIT: usize = 64 * 1024;

/// How long the body of a pending answer may take, even if the next poll is
/// due before. Without it, every short delay would cost a connection.
const DRAIN_TIME: Duration = Duration::from_millis(100);

pin_project! {
    pub(crate) struct Polling<S, B, R, P>
    where
        S: Service<Request<B>>,
    {
        service: S,
        session: Session<P>,
        span: Span,
        // The only timer of the call: made when something is first waited
        // for, and set anew for all that comes after.
        #[pin]
        timer: Option<Sleep>,
        #[pin]
        phase: Phase<S, B, R>,
    }
}

pin_project! {
    #[project = PhaseProj]
    enum Phase<S, B, R>
    where
        S: Service<Request<B>>,
    {
        // Until the next poll is due, the pending answer's body is read and
        // thrown away.
        Waiting {
            #[pin]
            body: Option<R>,
            left: usize,
            // `None`: due at once.
            due: Option<Instant>,
            answered: Instant,
        },
        Asking {
            #[pin]
            future: Oneshot<S, Request<B>>,
        },
        // The job ended without an answer of its own.
        Reading {
            #[pin]
            body: R,
            text: Vec<u8>,
            left: usize,
            state: JobState,
        },
    }
}

impl<S, B, R, P> Polling<S, B, R, P>
where
    S: Service<Request<B>, Response = Response<R>> + Clone,
    S::Error: Into<BoxError>,
    B: Default,
    R: Body,
    P: PollPolicy,
{
    /// To be given the pending answer to the submission next, which came at
    /// `answered`.
    #[inline]
    pub(crate) fn new(service: S, session: Session<P>, answered: Instant) -> Self {
        let span = tracing::info_span!(
            "http_poll",
            origin = %Redacted(session.origin()),
            polls = Empty,
        );
        Self {
            service,
            // If nobody listens, it is not to be entered again and again.
            span: if span.is_disabled() {
                Span::none()
            } else {
                span
            },
            session,
            timer: None,
            phase: Phase::Waiting {
                body: None,
                left: 0,
                due: None,
                answered,
            },
        }
    }

    /// Goes on with a pending answer, which came at `answered`.
    pub(crate) fn pend(
        self: Pin<&mut Self>,
        pending: Pending,
        response: Response<R>,
        answered: Instant,
    ) -> Result<(), Error> {
        let mut this = self.project();
        let (parts, body) = response.into_parts();
        let entered = this.span.enter();
        let delay = this
            .session
            .next(pending, parts.status, parts.headers, answered)?;
        drop(entered);
        let limit = this.session.config().drain_limit;
        this.phase.set(Phase::Waiting {
            body: is_worth_draining(&body, limit).then_some(body),
            left: limit,
            due: (!delay.is_zero()).then(|| answered + delay),
            answered,
        });
        Ok(())
    }

    /// Gives the final response. Must not be called again after that.
    pub(crate) fn poll(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Response<R>, Error>> {
        loop {
            let mut this = self.as_mut().project();
            let entered = this.span.enter();
            match this.phase.as_mut().project() {
                PhaseProj::Waiting {
                    mut body,
                    left,
                    due,
                    answered,
                } => {
                    if let Some(body) = body.as_mut().as_pin_mut()
                        && poll_drain(body, left, cx).is_pending()
                    {
                        let latest = *answered + DRAIN_TIME;
                        let end = due.map_or(latest, |due| due.max(latest));
                        ready!(poll_timer(this.timer.as_mut(), end, cx));
                    } else {
                        body.set(None);
                        if let Some(due) = *due {
                            ready!(poll_timer(this.timer.as_mut(), due, cx));
                        }
                    }
                    let request = this.session.poll(Instant::now());
                    this.span.record("polls", this.session.polls());
                    let future = Oneshot::new(this.service.clone(), request);
                    this.phase.set(Phase::Asking { future });
                }
                PhaseProj::Asking { future } => {
                    let Poll::Ready(answer) = future.poll(cx) else {
                        ready!(poll_timer(this.timer.as_mut(), this.session.deadline(), cx));
                        let job = this.session.job(Instant::now());
                        return Poll::Ready(Err(Error::deadline().with_pending_job(job)));
                    };
                    let now = Instant::now();
                    let mut response = answer.map_err(|error| {
                        Error::poll(error).with_pending_job(this.session.job(now))
                    })?;
                    match this.session.read(&response, now)? {
                        Verdict::Pending(pending) => {
                            drop(entered);
                            self.as_mut().pend(pending, response, now)?;
                        }
                        Verdict::Final => {
                            if this.session.config().attach_job
                                && let Some(job) = this.session.job(now)
                            {
                                response.extensions_mut().insert(job);
                            }
                            return Poll::Ready(Ok(response));
                        }
                        Verdict::Ended(state) if is_problem_json(response.headers()) => {
                            this.phase.set(Phase::Reading {
                                body: response.into_body(),
                                text: Vec::new(),
                                left: PROBLEM_LIMIT,
                                state,
                            });
                        }
                        Verdict::Ended(state) => {
                            return Poll::Ready(Err(Error::job(state, None)));
                        }
                    }
                }
                PhaseProj::Reading {
                    body,
                    text,
                    left,
                    state,
                } => {
                    let problem = match poll_collect(body, text, left, cx) {
                        Poll::Ready(true) => Problem::from_json(text).ok(),
                        Poll::Ready(false) => None,
                        Poll::Pending => {
                            ready!(poll_timer(this.timer.as_mut(), this.session.deadline(), cx));
                            None
                        }
                    };
                    return Poll::Ready(Err(Error::job(*state, problem)));
                }
            }
        }
    }
}

/// Waits until `end`, by the timer that is there or a new one.
fn poll_timer(mut timer: Pin<&mut Option<Sleep>>, end: Instant, cx: &mut Context<'_>) -> Poll<()> {
    match timer.as_mut().as_pin_mut() {
        None => timer.set(Some(sleep_until(end))),
        Some(sleep) if sleep.deadline() != end => sleep.reset(end),
        Some(_) => {}
    }
    match timer.as_pin_mut() {
        Some(sleep) => sleep.poll(cx),
        None => Poll::Ready(()),
    }
}
