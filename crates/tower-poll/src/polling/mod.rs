//! The futures of polling: waiting, asking, and reading why there is no
//! answer. All of it lives in one box, made at the first pending answer.

mod cancelling;
mod drain;
mod taking;
mod timer;

use std::{
    error,
    future::Future,
    iter,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use http::{HeaderMap, Request, Response, StatusCode, response::Parts};
use http_body::Body;
use http_polling::JobState;
use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep};
use tower::{BoxError, Service, util::Oneshot};
use tracing::{Span, field::Empty};

pub(crate) use self::cancelling::PATIENCE;
use self::drain::{poll_collect, poll_drain};
use self::timer::{poll_deadline, poll_timer};
use crate::{
    config::Refreshing, error::Error, pending_job::PendingJob, policy::PollPolicy,
    progress::Update, redact::Redacted, session::Session,
};

/// The time that the body of an answer that is an error may take.
const ERROR_TIME: Duration = Duration::from_secs(10);

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
        // `None` if nobody listens: it is not to be entered again and again.
        span: Option<Span>,
        // Somebody wants every pending answer.
        stepwise: bool,
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
    #[project_replace = PhaseOwned]
    enum Phase<S, B, R>
    where
        S: Service<Request<B>>,
    {
        // Until the next poll is due, the pending answer's body is read.
        Waiting {
            #[pin]
            body: Option<R>,
            left: usize,
            // What was read of it, until it is told to whoever watches;
            // `None` if nobody does.
            text: Option<Vec<u8>>,
            // `None`: due at once.
            due: Option<Instant>,
            answered: Instant,
        },
        Asking {
            #[pin]
            future: Oneshot<S, Request<B>>,
        },
        // The head did not tell what the answer means.
        Reading {
            parts: Option<Box<Parts>>,
            #[pin]
            body: R,
            text: Vec<u8>,
            left: usize,
            answered: Instant,
        },
        // The call ends in an error, as soon as what the server says is read.
        Failing {
            #[pin]
            body: R,
            text: Vec<u8>,
            left: usize,
            // When the rest of it is not waited for any more.
            end: Instant,
            error: Option<Error>,
        },
        // New credentials are on the way.
        Refreshing {
            future: Refreshing,
            headers: HeaderMap,
        },
        // The job is being cancelled.
        Cancelling {
            #[pin]
            future: Oneshot<S, Request<B>>,
            // When its answer is not waited for any more.
            end: Instant,
        },
    }
}

pub(crate) type BoxPolling<S, B, R, P> = Pin<Box<Polling<S, B, R, P>>>;

type Output<T> = Poll<Result<T, Error>>;

impl<S, B, R, P> Polling<S, B, R, P>
where
    S: Service<Request<B>, Response = Response<R>> + Clone,
    S::Error: Into<BoxError>,
    B: Default,
    R: Body,
    P: PollPolicy,
{
    /// Starts to poll. The answer to the submission, which came at
    /// `answered`, is to be given next.
    // The box comes first and all is inlined, so that the value is made in
    // place: moving it there costs some hundred instructions.
    #[inline(always)]
    pub(crate) fn begin(
        service: S,
        session: impl FnOnce() -> Session<P>,
        answered: Instant,
    ) -> BoxPolling<S, B, R, P> {
        let polling = Box::new_uninit();
        let session = session();
        let span = tracing::info_span!(
            "http_poll",
            origin = %Redacted(session.origin()),
            polls = Empty,
        );
        Box::into_pin(Box::write(
            polling,
            Self {
                service,
                span: (!span.is_disabled()).then_some(span),
                session,
                stepwise: false,
                timer: None,
                phase: Phase::Waiting {
                    body: None,
                    left: 0,
                    text: None,
                    due: None,
                    answered,
                },
            },
        ))
    }

    /// Has the pending answers from now on told by
    /// [`poll_event`](Self::poll_event).
    pub(crate) fn step(self: Pin<&mut Self>) {
        *self.project().stepwise = true;
    }

    /// Has the pending answer that is there told too.
    pub(crate) fn tell(self: Pin<&mut Self>) {
        if let PhaseProj::Waiting { text, .. } = self.project().phase.project() {
            text.get_or_insert_default();
        }
    }

    /// Makes the next poll due at once, and has nothing told before.
    pub(crate) fn hasten(self: Pin<&mut Self>) {
        if let PhaseProj::Waiting {
            mut body,
            text,
            due,
            ..
        } = self.project().phase.project()
        {
            body.set(None);
            *text = None;
            *due = None;
        }
    }

    /// Whether the last answer was pending, and the next poll is not sent.
    pub(crate) fn is_waiting(&self) -> bool {
        matches!(self.phase, Phase::Waiting { .. })
    }

    /// Returns whether the call ends in an error that is there.
    fn is_failing(&self) -> bool {
        matches!(self.phase, Phase::Failing { .. })
    }

    /// Whether the caller wants no more than the pending job.
    pub(crate) fn is_not_waited_for(&self) -> bool {
        let caller = self.session.caller.as_ref();
        caller.is_some_and(|caller| caller.does_not_wait)
    }

    /// Gives the final response. Must not be called again after that.
    pub(crate) fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Output<Response<R>> {
        loop {
            match ready!(self.as_mut().poll_event(cx)) {
                Ok(Update::Final(response)) => return Poll::Ready(Ok(response)),
                Ok(Update::Pending(_)) => {}
                Err(error) => {
                    return Poll::Ready(Err(error.for_caller(self.session.is_grpc())));
                }
            }
        }
    }

    /// Goes on until a pending answer has been read, if that is wanted, or
    /// the final one is there. Must not be called again after that.
    pub(crate) fn poll_event(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Output<Update<R>> {
        let update = ready!(self.as_mut().poll_phases(cx));
        Poll::Ready(update.map_err(|error| error.or_pending_job(|| self.job())))
    }

    /// Like [`poll_event`](Self::poll_event), but for the job in its errors.
    fn poll_phases(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Output<Update<R>> {
        if let Some(caller) = &mut self.as_mut().project().session.caller
            && let Poll::Ready(stop) = caller.poll_stop(cx)
            && !self.is_failing()
        {
            self.as_mut().stop(stop)?;
        }
        loop {
            let mut this = self.as_mut().project();
            let entered = this.span.as_ref().map(Span::enter);
            match this.phase.as_mut().project() {
                PhaseProj::Waiting {
                    mut body,
                    left,
                    text,
                    due,
                    answered,
                } => {
                    let read = match (body.as_mut().as_pin_mut(), text.as_mut()) {
                        (None, _) => Poll::Ready(()),
                        (Some(body), None) => poll_drain(body, left, cx),
                        (Some(body), Some(text)) => {
                            poll_collect(body, text, left, cx).map(|is_whole| {
                                if !is_whole {
                                    text.clear();
                                }
                            })
                        }
                    };
                    if read.is_pending() {
                        let latest = *answered + DRAIN_TIME;
                        let end = due.map_or(latest, |due| due.max(latest));
                        ready!(poll_timer(this.timer.as_mut(), end, cx));
                        text.as_mut().map(Vec::clear);
                    }
                    body.set(None);
                    if let Some(text) = text.take()
                        && let Some(update) = this.session.update(&text, Instant::now())
                    {
                        this.session.tell(&update);
                        if *this.stepwise {
                            return Poll::Ready(Ok(Update::Pending(update)));
                        }
                    }
                    if let Some(due) = *due {
                        this.session.release_answer();
                        ready!(poll_timer(this.timer.as_mut(), due, cx));
                    }
                    let now = Instant::now();
                    // A job that is polled by hand may have been left alone.
                    if now > this.session.deadline() {
                        return Poll::Ready(Err(Error::deadline()));
                    }
                    let request = this.session.poll(now);
                    if let Some(span) = &*this.span {
                        span.record("polls", this.session.polls());
                    }
                    let future = Oneshot::new(this.service.clone(), request);
                    this.phase.set(Phase::Asking { future });
                }
                PhaseProj::Asking { future } => {
                    let Poll::Ready(answer) = future.poll(cx) else {
                        return poll_deadline(this.timer.as_mut(), this.session, cx);
                    };
                    let now = Instant::now();
                    let response = match answer {
                        Ok(response) => response,
                        Err(error) => {
                            let error = error.into();
                            let Some(interim) = this.session.repeat(None, true, now) else {
                                return Poll::Ready(Err(Error::poll(error)));
                            };
                            let cause = root_cause(&*error);
                            tracing::debug!(%cause, "a poll failed and is repeated");
                            drop(entered);
                            self.as_mut()
                                .pend_unanswered(interim, StatusCode::BAD_GATEWAY, now)?;
                            continue;
                        }
                    };
                    let verdict = this
                        .session
                        .read(response.status(), response.headers(), now);
                    drop(entered);
                    if let Some(response) = self.as_mut().take(verdict, response, now)? {
                        return Poll::Ready(Ok(Update::Final(response)));
                    }
                }
                PhaseProj::Reading {
                    parts,
                    body,
                    text,
                    left,
                    answered,
                } => {
                    let Poll::Ready(is_whole) = poll_collect(body, text, left, cx) else {
                        return poll_deadline(this.timer.as_mut(), this.session, cx);
                    };
                    let Some(parts) = parts.take() else {
                        unreachable!("a body is read once");
                    };
                    let (text, answered) = (std::mem::take(text), *answered);
                    drop(entered);
                    self.as_mut().take_read(*parts, text, is_whole, answered)?;
                }
                PhaseProj::Failing {
                    body,
                    text,
                    left,
                    end,
                    error,
                } => {
                    let is_whole = match poll_collect(body, text, left, cx) {
                        Poll::Ready(is_whole) => is_whole,
                        Poll::Pending => {
                            ready!(poll_timer(this.timer.as_mut(), *end, cx));
                            false
                        }
                    };
                    let Some(error) = error.take() else {
                        unreachable!("an error is given once");
                    };
                    let text = std::mem::take(text);
                    return Poll::Ready(Err(error.with_body(text, is_whole)));
                }
                PhaseProj::Refreshing { future, headers } => {
                    let Poll::Ready(fresh) = future.as_mut().poll(cx) else {
                        return poll_deadline(this.timer.as_mut(), this.session, cx);
                    };
                    let (status, headers) = (StatusCode::UNAUTHORIZED, std::mem::take(headers));
                    let fresh = match fresh {
                        Ok(fresh) => fresh,
                        Err(error) => {
                            let error = Error::not_refreshed(error).about(status, headers);
                            return Poll::Ready(Err(error));
                        }
                    };
                    this.session.authorize(&fresh);
                    let interim = this.session.once_more(Some(Duration::ZERO));
                    let now = Instant::now();
                    drop(entered);
                    self.as_mut()
                        .pend_parts(interim, status, headers, None, now)?;
                }
                PhaseProj::Cancelling { future, end } => {
                    let error = match future.poll(cx) {
                        Poll::Ready(Ok(response)) if response.status().is_success() => {
                            return Poll::Ready(Err(Error::job(JobState::Cancelled, None)));
                        }
                        Poll::Ready(Ok(response)) => {
                            let error = Error::not_cancelled(response.status());
                            drop(entered);
                            self.as_mut().fail(error, response);
                            continue;
                        }
                        Poll::Ready(Err(error)) => Error::poll(error),
                        Poll::Pending => {
                            ready!(poll_timer(this.timer.as_mut(), *end, cx));
                            Error::stopped()
                        }
                    };
                    return Poll::Ready(Err(error));
                }
            }
        }
    }

    /// The job as it is now, if one was accepted.
    pub(crate) fn job(&self) -> Option<PendingJob> {
        self.session.accepted(Instant::now())
    }
}

/// What `error` comes from in the end. It can be logged, while some clients
/// put URLs into the errors on the way.
fn root_cause<'a>(error: &'a (dyn error::Error + 'static)) -> &'a (dyn error::Error + 'static) {
    iter::successors(Some(error), |error| error.source())
        .last()
        .unwrap_or(error)
}
