//! One method for each phase.

use std::{
    error,
    future::Future,
    iter, mem,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use http::{Response, StatusCode};
use http_body::Body;
use http_polling::JobState;
use tokio::time::Instant;
use tower::{BoxError, util::Oneshot};
use tracing::Span;

use super::{
    drain::{poll_collect, poll_drain},
    phase::{DRAIN_TIME, Phase, PhaseProj, Polling},
    timer::{Output, poll_deadline, poll_timer},
};
use crate::{
    client::Client,
    error::{Error, Kind},
    policy::poll_policy::PollPolicy,
    progress::Update,
};

/// `None`: another phase has begun.
type Step<R> = Output<Option<Update<R>>>;

/// Every phase is polled by its own method only.
const WRONG_PHASE: &str = "the method of another phase";

impl<S: Client<B, R>, B: Default, R: Body, P: PollPolicy> Polling<S, B, R, P> {
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

    /// Gives the next pending answer, if these are wanted, or the final
    /// response. Must not be called again after the latter or an error.
    pub(crate) fn poll_event(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Output<Update<R>> {
        let _entered = self.span.clone().map(Span::entered);
        let update = ready!(self.as_mut().poll_phases(cx));
        Poll::Ready(update.map_err(|error| error.or_pending_job(|| self.job())))
    }

    fn poll_phases(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Output<Update<R>> {
        if let Some(caller) = &mut self.as_mut().project().session.caller
            && let Poll::Ready(stop) = caller.poll_stop(cx)
            && !self.is_failing()
        {
            self.as_mut().stop(stop)?;
        }
        loop {
            let phase = self.as_mut();
            let step = match phase.phase {
                Phase::Waiting { .. } => phase.poll_waiting(cx),
                Phase::Asking { .. } => phase.poll_asking(cx),
                Phase::Reading { .. } => phase.poll_reading(cx),
                Phase::Failing { .. } => phase.poll_failing(cx),
                Phase::Refreshing { .. } => phase.poll_refreshing(cx),
                Phase::Cancelling { .. } => phase.poll_cancelling(cx),
            };
            if let Some(update) = ready!(step)? {
                return Poll::Ready(Ok(update));
            }
        }
    }

    /// Reads the body of the pending answer, notifies observers, and sends the
    /// next poll once it is due.
    fn poll_waiting(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Step<R> {
        ready!(self.as_mut().poll_pending_body(cx));
        let mut this = self.project();
        let PhaseProj::Waiting { text, due, .. } = this.phase.as_mut().project() else {
            unreachable!("{WRONG_PHASE}");
        };
        if let Some(text) = text.take()
            && let Some(update) = this.session.update(&text, Instant::now())
        {
            this.session.notify(&update);
            if *this.stepwise {
                return Poll::Ready(Ok(Some(Update::Pending(update))));
            }
        }
        if let Some(due) = *due {
            this.session.release_answer();
            ready!(poll_timer(this.timer, due, cx));
        }
        let now = Instant::now();
        // A `Job` may have been left alone for any time.
        if now > this.session.deadline() {
            return Poll::Ready(Err(Error::new(Kind::Deadline)));
        }
        let request = this.session.poll(now);
        if let Some(span) = &*this.span {
            span.record("polls", this.session.polls());
        }
        let future = Oneshot::new(this.service.clone(), request);
        this.phase.set(Phase::Asking { future });
        Poll::Ready(Ok(None))
    }

    /// Reads the body of the pending answer until it ends, or until the next
    /// poll is due and [`DRAIN_TIME`] has passed.
    fn poll_pending_body(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        let PhaseProj::Waiting {
            mut body,
            left,
            text,
            due,
            answered,
        } = this.phase.project()
        else {
            unreachable!("{WRONG_PHASE}");
        };
        let Some(reading) = body.as_mut().as_pin_mut() else {
            return Poll::Ready(());
        };
        let is_whole = match text {
            None => poll_drain(reading, left, cx).map(|()| true),
            Some(text) => poll_collect(reading, text, left, cx),
        };
        if is_whole.is_pending() {
            let latest = *answered + DRAIN_TIME;
            let end = due.map_or(latest, |due| due.max(latest));
            ready!(poll_timer(this.timer, end, cx));
        }
        if is_whole != Poll::Ready(true) {
            text.as_mut().map(Vec::clear);
        }
        body.set(None);
        Poll::Ready(())
    }

    /// Awaits the answer to a poll.
    fn poll_asking(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Step<R> {
        let this = self.as_mut().project();
        let PhaseProj::Asking { future } = this.phase.project() else {
            unreachable!("{WRONG_PHASE}");
        };
        let response = match future.poll(cx) {
            Poll::Ready(Ok(response)) => response,
            Poll::Ready(Err(error)) => {
                return Poll::Ready(self.repeat(error.into(), Instant::now()).map(|()| None));
            }
            Poll::Pending => return poll_deadline(this.timer, this.session, cx),
        };
        let now = Instant::now();
        let verdict = this
            .session
            .read(response.status(), response.headers(), now);
        Poll::Ready(self.take(verdict, response, now)).map_ok(|last| last.map(Update::Final))
    }

    /// Repeats a poll that failed with `error`, if there may be a repetition.
    fn repeat(mut self: Pin<&mut Self>, error: BoxError, now: Instant) -> Result<(), Error> {
        let session = self.as_mut().project().session;
        let Some(interim) = session.repeat(None, true, now) else {
            return Err(Error::new(Kind::Poll).with_source(error));
        };
        tracing::debug!(cause = %root_cause(&*error), "a poll failed and is repeated");
        self.pend_unanswered(interim, StatusCode::BAD_GATEWAY, now)
    }

    /// Reads the body of an answer whose meaning depends on it.
    fn poll_reading(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Step<R> {
        let this = self.as_mut().project();
        let PhaseProj::Reading {
            parts,
            body,
            text,
            left,
            answered,
        } = this.phase.project()
        else {
            unreachable!("{WRONG_PHASE}");
        };
        let Poll::Ready(is_whole) = poll_collect(body, text, left, cx) else {
            return poll_deadline(this.timer, this.session, cx);
        };
        let Some(parts) = parts.take() else {
            unreachable!("a body is read once");
        };
        let (text, answered) = (mem::take(text), *answered);
        let read = self.take_read(*parts, text, is_whole, answered);
        Poll::Ready(read.map(|()| None))
    }

    /// Reads the body of an answer that is an error, and gives that error.
    fn poll_failing(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Step<R> {
        let this = self.project();
        let PhaseProj::Failing {
            body,
            text,
            left,
            end,
            error,
        } = this.phase.project()
        else {
            unreachable!("{WRONG_PHASE}");
        };
        let is_whole = match poll_collect(body, text, left, cx) {
            Poll::Ready(is_whole) => is_whole,
            Poll::Pending => {
                ready!(poll_timer(this.timer, *end, cx));
                false
            }
        };
        let Some(error) = error.take() else {
            unreachable!("an error is given once");
        };
        Poll::Ready(Err(error.with_body(mem::take(text), is_whole)))
    }

    /// Awaits new credentials, and repeats the poll with them.
    fn poll_refreshing(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Step<R> {
        let this = self.as_mut().project();
        let PhaseProj::Refreshing { future, headers } = this.phase.project() else {
            unreachable!("{WRONG_PHASE}");
        };
        let Poll::Ready(fresh) = future.as_mut().poll(cx) else {
            return poll_deadline(this.timer, this.session, cx);
        };
        let (status, headers) = (StatusCode::UNAUTHORIZED, mem::take(headers));
        let fresh = match fresh {
            Ok(fresh) => fresh,
            Err(error) => {
                let error = Error::new(Kind::Unauthorized)
                    .with_source(error)
                    .about(status, headers);
                return Poll::Ready(Err(error));
            }
        };
        this.session.authorize(&fresh);
        let interim = this.session.once_more(Some(Duration::ZERO));
        let pended = self.pend_parts(interim, status, headers, None, Instant::now());
        Poll::Ready(pended.map(|()| None))
    }

    /// Awaits the answer to the DELETE of the job, and gives the error that
    /// ends the call.
    fn poll_cancelling(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Step<R> {
        let this = self.as_mut().project();
        let PhaseProj::Cancelling { future, end } = this.phase.project() else {
            unreachable!("{WRONG_PHASE}");
        };
        Poll::Ready(Err(match future.poll(cx) {
            Poll::Ready(Ok(response)) if response.status().is_success() => {
                Error::job(JobState::Cancelled, None)
            }
            Poll::Ready(Ok(response)) => {
                self.fail(Error::new(Kind::NotCancelled(response.status())), response);
                return Poll::Ready(Ok(None));
            }
            Poll::Ready(Err(error)) => Error::new(Kind::Poll).with_source(error),
            Poll::Pending => {
                ready!(poll_timer(this.timer, *end, cx));
                Error::new(Kind::Stopped)
            }
        }))
    }
}

/// The last source of `error`. It can be logged, while some clients put URLs
/// into the errors above it.
fn root_cause<'a>(error: &'a (dyn error::Error + 'static)) -> &'a (dyn error::Error + 'static) {
    iter::successors(Some(error), |error| error.source())
        .last()
        .unwrap_or(error)
}
