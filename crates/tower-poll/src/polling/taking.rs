//! What is done with answers.

use std::pin::Pin;

use http::{HeaderMap, Request, Response, StatusCode, response::Parts};
use http_body::Body;
use http_polling::is_problem_json;
use tokio::time::Instant;
use tower::{BoxError, Service};
use tracing::Span;

use super::{PROBLEM_LIMIT, Phase, PhaseProj, Polling};
use crate::{
    Error, PendingJob, PollPolicy, dialect::Interim, drain::is_worth_draining, session::Verdict,
};

impl<S, B, R, P> Polling<S, B, R, P>
where
    S: Service<Request<B>, Response = Response<R>> + Clone,
    S::Error: Into<BoxError>,
    B: Default,
    R: Body,
    P: PollPolicy,
{
    /// Goes on with a pending answer, which came at `answered`.
    #[inline]
    pub(crate) fn pend(
        self: Pin<&mut Self>,
        interim: Interim,
        response: Response<R>,
        answered: Instant,
    ) -> Result<(), Error> {
        let (parts, body) = response.into_parts();
        self.pend_parts(interim, parts.status, parts.headers, Some(body), answered)
    }

    /// Goes on with a pending answer, whose body may have been read.
    pub(crate) fn pend_parts(
        self: Pin<&mut Self>,
        interim: Interim,
        status: StatusCode,
        headers: HeaderMap,
        body: Option<R>,
        answered: Instant,
    ) -> Result<(), Error> {
        let mut this = self.project();
        let entered = this.span.as_ref().map(Span::enter);
        let delay = this.session.next(interim, status, headers, answered)?;
        drop(entered);
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

    /// Takes in a pending answer, and gives it back with the job: for a caller
    /// who does not wait.
    pub(crate) fn hand_over(
        mut self: Pin<&mut Self>,
        interim: Interim,
        mut response: Response<R>,
        answered: Instant,
    ) -> Result<Response<R>, Error> {
        let (status, headers) = (response.status(), response.headers().clone());
        self.as_mut()
            .pend_parts(interim, status, headers, None, answered)?;
        if let Some(job) = self.job() {
            response.extensions_mut().insert(job);
        }
        Ok(response)
    }

    /// Reads the body of an answer that came at `answered`, to know what it
    /// means.
    pub(crate) fn read_body(self: Pin<&mut Self>, response: Response<R>, answered: Instant) {
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

    /// Takes an answer in, whatever it means. Gives the final one back.
    pub(crate) fn take(
        mut self: Pin<&mut Self>,
        verdict: Verdict,
        mut response: Response<R>,
        now: Instant,
    ) -> Result<Option<Response<R>>, Error> {
        let mut this = self.as_mut().project();
        match verdict {
            Verdict::Pending(interim) => {
                self.pend(interim, response, now)?;
            }
            Verdict::NeedsBody => self.read_body(response, now),
            Verdict::Final | Verdict::GivenUp => {
                let is_final = matches!(verdict, Verdict::Final);
                if is_final && let Some(status) = this.session.final_status(response.status()) {
                    *response.status_mut() = status;
                }
                if (this.session.config().attach_job || !is_final)
                    && let Some(job) = this.session.job(now)
                {
                    response.extensions_mut().insert(job);
                }
                return Ok(Some(response));
            }
            Verdict::Ended(state, None) if is_problem_json(response.headers()) => {
                let (parts, body) = response.into_parts();
                this.phase.set(Phase::Ended {
                    body,
                    text: Vec::new(),
                    left: PROBLEM_LIMIT,
                    state,
                    headers: parts.headers,
                });
            }
            Verdict::Ended(state, problem) => {
                return Err(Error::job(state, problem.map(|problem| *problem)));
            }
            Verdict::Unauthorized => {
                let Some(future) = this.session.refresh() else {
                    return Err(Error::unauthorized().with_pending_job(this.session.job(now)));
                };
                let headers = std::mem::take(response.headers_mut());
                this.phase.set(Phase::Refreshing { future, headers });
            }
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
        let (status, headers) = (StatusCode::SEE_OTHER, HeaderMap::new());
        self.as_mut()
            .pend_parts(interim, status, headers, None, now)?;
        self.project().session.tell_as_stored(job);
        Ok(())
    }

    /// Goes on with an answer whose body has been read as `text`.
    pub(super) fn take_read(
        mut self: Pin<&mut Self>,
        verdict: Option<Verdict>,
        parts: Parts,
        text: Vec<u8>,
        answered: Instant,
    ) -> Result<(), Error> {
        match verdict {
            Some(Verdict::Pending(interim)) => {
                let (status, headers) = (parts.status, parts.headers);
                self.as_mut()
                    .pend_parts(interim, status, headers, None, answered)?;
                if let PhaseProj::Waiting {
                    text: Some(told), ..
                } = self.as_mut().project().phase.project()
                {
                    *told = text;
                }
                // The pending answer cannot be given back without its body.
                if self.is_not_waited_for() && !self.session.is_done() {
                    return Err(Error::stopped().with_pending_job(self.job()));
                }
                Ok(())
            }
            Some(Verdict::Ended(state, problem)) => {
                Err(Error::job(state, problem.map(|problem| *problem)))
            }
            _ => unreachable!("an answer whose body is gone is not final"),
        }
    }
}
