//! Taking answers in.

use std::pin::Pin;

use http::{HeaderMap, Response, StatusCode, response::Parts};
use http_body::Body;
use tokio::time::Instant;
use tracing::Span;

use super::{
    drain::is_worth_draining,
    phase::{ERROR_TIME, Phase, PhaseProj, Polling},
};
use crate::{
    client::Client,
    dialect::{DialectError, Interim},
    error::{BODY_LIMIT, Error, Kind},
    pending_job::PendingJob,
    policy::poll_policy::PollPolicy,
    session::Verdict,
};

impl<S: Client<B, R>, B: Default, R: Body, P: PollPolicy> Polling<S, B, R, P> {
    /// Takes in the answer to the submission. Gives it back if it is pending
    /// and the caller does not wait.
    // Inlined by force, since a call would have to move the answer.
    #[inline(always)]
    pub(crate) fn start(
        self: Pin<&mut Self>,
        verdict: Result<Verdict, Error>,
        response: Response<R>,
        now: Instant,
    ) -> Result<Option<Response<R>>, Error> {
        let _entered = self.span.clone().map(Span::entered);
        match verdict {
            Ok(Verdict::Pending(interim)) if self.is_not_waited_for() => {
                self.hand_over(interim, response, now)
            }
            Ok(Verdict::Pending(interim)) => self.pend(interim, response, now).map(|()| None),
            verdict => self.take(verdict, response, now),
        }
    }

    /// Goes on with a pending answer.
    #[inline(always)]
    fn pend(
        self: Pin<&mut Self>,
        interim: Interim,
        response: Response<R>,
        answered: Instant,
    ) -> Result<(), Error> {
        let (parts, body) = response.into_parts();
        self.pend_parts(interim, parts.status, parts.headers, Some(body), answered)
    }

    /// Goes on with a pending answer, whose body may have been read.
    pub(super) fn pend_parts(
        mut self: Pin<&mut Self>,
        interim: Interim,
        status: StatusCode,
        headers: HeaderMap,
        body: Option<R>,
        answered: Instant,
    ) -> Result<(), Error> {
        let mut this = self.as_mut().project();
        let delay = match this.session.next(interim, status, headers, answered) {
            Ok(delay) => delay,
            Err(error) => return self.end(error, body),
        };
        let limit = this.session.config().drain_limit;
        let is_watched = *this.stepwise || this.session.is_watched();
        this.phase.set(Phase::Waiting {
            body: body.filter(|body| is_worth_draining(body, limit)),
            left: limit,
            text: is_watched.then(Vec::new),
            due: (!delay.is_zero()).then(|| answered + delay),
            answered,
        });
        Ok(())
    }

    /// Goes on without an answer, as if it were a pending one of this status.
    pub(super) fn pend_unanswered(
        self: Pin<&mut Self>,
        interim: Interim,
        status: StatusCode,
        now: Instant,
    ) -> Result<(), Error> {
        self.pend_parts(interim, status, HeaderMap::new(), None, now)
            .map_err(Error::about_none)
    }

    /// Ends the call in an error, which is about the answer that has this
    /// body, or about none.
    fn end(self: Pin<&mut Self>, error: Error, body: Option<R>) -> Result<(), Error> {
        let error = error.or_pending_job(|| self.job());
        match body {
            Some(body) if error.has_answer() => {
                self.read_error(error, body);
                Ok(())
            }
            _ => Err(error),
        }
    }

    /// Ends the call in an error that is about `response`.
    pub(super) fn fail(self: Pin<&mut Self>, error: Error, response: Response<R>) {
        let (parts, body) = response.into_parts();
        self.read_error(error.about(parts.status, parts.headers), body);
    }

    fn read_error(self: Pin<&mut Self>, error: Error, body: R) {
        let end = self.session.deadline().min(Instant::now() + ERROR_TIME);
        self.project().phase.set(Phase::Failing {
            body,
            text: Vec::new(),
            left: BODY_LIMIT,
            end,
            error: Some(error),
        });
    }

    /// Takes in a pending answer, and gives it back with the job in its
    /// extensions. `None` if the call is to end in an error.
    fn hand_over(
        mut self: Pin<&mut Self>,
        interim: Interim,
        mut response: Response<R>,
        answered: Instant,
    ) -> Result<Option<Response<R>>, Error> {
        let (status, headers) = (response.status(), response.headers().clone());
        let pended = self
            .as_mut()
            .pend_parts(interim, status, headers, None, answered);
        if let Err(error) = pended {
            self.end(error, Some(response.into_body()))?;
            return Ok(None);
        }
        if let Some(job) = self.job() {
            response.extensions_mut().insert(job);
        }
        Ok(Some(response))
    }

    /// Reads the body of an answer that came at `answered`, to know what it
    /// means.
    fn read_body(self: Pin<&mut Self>, response: Response<R>, answered: Instant) {
        let (parts, body) = response.into_parts();
        let mut this = self.project();
        let left = this.session.config().drain_limit;
        this.phase.set(Phase::Reading {
            parts: Some(Box::new(parts)),
            body,
            text: Vec::new(),
            left,
            answered,
        });
    }

    /// Takes in an answer of any meaning. Gives the final one back.
    pub(super) fn take(
        mut self: Pin<&mut Self>,
        verdict: Result<Verdict, Error>,
        mut response: Response<R>,
        now: Instant,
    ) -> Result<Option<Response<R>>, Error> {
        let mut this = self.as_mut().project();
        match verdict {
            Err(error) => self.fail(error, response),
            Ok(Verdict::Pending(interim)) => self.pend(interim, response, now)?,
            Ok(Verdict::NeedsBody) => self.read_body(response, now),
            Ok(verdict @ (Verdict::Final | Verdict::GivenUp)) => {
                let is_final = matches!(verdict, Verdict::Final);
                if is_final && let Some(status) = this.session.final_status(response.status()) {
                    *response.status_mut() = status;
                }
                if (this.session.config().attach_job || !is_final)
                    && let Some(job) = this.session.accepted(now)
                {
                    response.extensions_mut().insert(job);
                }
                return Ok(Some(response));
            }
            Ok(Verdict::Ended(state, problem)) => {
                let error = Error::job(state, problem.map(|problem| *problem));
                self.fail(error, response);
            }
            Ok(Verdict::Unauthorized) => match this.session.refresh() {
                None => {
                    let error = this.session.unauthorized();
                    self.fail(error, response);
                }
                Some(future) => {
                    let headers = std::mem::take(response.headers_mut());
                    this.phase.set(Phase::Refreshing { future, headers });
                }
            },
        }
        Ok(None)
    }

    /// Goes on with a job that was accepted before.
    pub(crate) fn resume(
        mut self: Pin<&mut Self>,
        job: &PendingJob,
        interim: Interim,
        now: Instant,
    ) -> Result<(), Error> {
        let _entered = self.span.clone().map(Span::entered);
        self.as_mut()
            .pend_unanswered(interim, StatusCode::SEE_OTHER, now)?;
        self.project().session.summarize(job);
        Ok(())
    }

    /// Takes an answer with the `text` of its body, which is complete if
    /// `is_whole`.
    pub(super) fn take_read(
        mut self: Pin<&mut Self>,
        parts: Parts,
        text: Vec<u8>,
        is_whole: bool,
        answered: Instant,
    ) -> Result<(), Error> {
        let (status, headers) = (parts.status, parts.headers);
        let session = self.as_mut().project().session;
        let verdict = match is_whole {
            true => session.read_in_dialect(status, &headers, Some(&text), Instant::now()),
            false => Err(Error::new(Kind::BadAnswer).with_source(DialectError::body())),
        };
        let error = match verdict {
            Ok(Some(Verdict::Pending(interim))) => {
                let pended = self
                    .as_mut()
                    .pend_parts(interim, status, headers, None, answered);
                if let Err(error) = pended {
                    return Err(error.with_body(text, is_whole));
                }
                if let PhaseProj::Waiting {
                    text: Some(kept), ..
                } = self.as_mut().project().phase.project()
                {
                    *kept = text;
                }
                // The pending answer cannot be given back without its body.
                if self.is_not_waited_for() && !self.session.is_done() {
                    return Err(Error::new(Kind::Stopped));
                }
                return Ok(());
            }
            Ok(Some(Verdict::Ended(state, problem))) => {
                Error::job(state, problem.map(|problem| *problem))
            }
            Ok(_) => unreachable!("an answer whose body is gone is not final"),
            Err(error) => error,
        };
        Err(error.about(status, headers).with_body(text, is_whole))
    }
}
