//! Reading answers: that to the submission, and those to polls.

use std::time::Duration;

use http::{HeaderMap, Method, StatusCode};
use http_polling::{Exchange, JobState, PreferenceApplied, Reading, is_grpc, retry_after};
use tokio::time::Instant;

use super::{state::Session, verdict::Verdict};
use crate::{
    coding::decoded,
    dialect::{Answer, CallContext, Chosen, DialectError, Interim, Step},
    error::{Error, Hint, Kind},
    statuses::{announces, is_failure, waits},
};

impl<P> Session<P> {
    /// Chooses the dialect of the call by the answer to the submission.
    #[inline]
    pub(crate) fn recognise(&mut self, status: StatusCode, headers: &HeaderMap) {
        if status.is_success() || !self.shared.config.dialects.is_empty() {
            self.choose_dialect(status, headers);
        }
    }

    fn choose_dialect(&mut self, status: StatusCode, headers: &HeaderMap) {
        let own = &self.shared.config.dialects;
        let context = CallContext::new(&self.method, &self.course.asked);
        let answer = context.answer(status, headers);
        if let Some(dialect) = Chosen::recognise(&answer, own) {
            self.dialect = Some(Box::new((dialect, context)));
        }
    }

    /// Reads the head of an answer: of that to the submission until a pending
    /// answer has been taken in, then of those to polls.
    pub(crate) fn read(
        &mut self,
        status: StatusCode,
        headers: &HeaderMap,
        now: Instant,
    ) -> Result<Verdict, Error> {
        if !self.is_polling() && self.dialect.is_none() {
            return self.read_exchange(status, headers, now);
        }
        let state = JobState::from_headers(headers);
        if self.is_polling() {
            if state.is_none()
                && let Some(verdict) = self.failed(status, headers, now)
            {
                return Ok(verdict);
            }
            self.retries = 0;
            let is_lost = status == StatusCode::NOT_FOUND || state == Some(JobState::Unknown);
            self.is_found |= !(is_lost || state.is_none() && is_failure(status));
        }
        // A dialect on the layer takes precedence over `Job-Status`, and no
        // other is chosen for a submission whose answer has one.
        if self.dialect.is_some()
            && (state.is_none() || self.has_own_dialect())
            && let Some(verdict) = self.read_in_dialect(status, headers, None, now)?
        {
            return Ok(verdict);
        }
        match state {
            _ if !self.is_polling() => self.read_exchange(status, headers, now),
            None => self.read_status(status, headers, now),
            Some(JobState::Unknown) if self.is_within_grace(now) => {
                Ok(Verdict::Pending(self.once_more(None)))
            }
            Some(JobState::Done) => Ok(Verdict::Final),
            // A gRPC answer has its failure in its trailers (trailers-only).
            Some(state) if state.is_final() && is_grpc(headers) => Ok(Verdict::Final),
            Some(state) if state.is_final() => Ok(Verdict::Ended(state, None)),
            Some(_) => self.read_exchange(status, headers, now),
        }
    }

    /// Returns whether the dialect is one that the user has put onto the
    /// layer.
    fn has_own_dialect(&self) -> bool {
        matches!(self.dialect.as_deref(), Some((Chosen::Own(_), _)))
    }

    /// Reads an answer by the dialect. `None` if there is none, or if it
    /// leaves the answer to its head. Never final if the body has been read.
    pub(crate) fn read_in_dialect(
        &mut self,
        status: StatusCode,
        headers: &HeaderMap,
        body: Option<&[u8]>,
        now: Instant,
    ) -> Result<Option<Verdict>, Error> {
        let step = match self.step(status, headers, body, now) {
            None => return Ok(None),
            Some(Ok(step)) => step,
            Some(Err(error)) => {
                let job = self.meant(headers, now);
                return Err(Error::new(Kind::BadAnswer)
                    .with_source(error)
                    .with_pending_job(job));
            }
        };
        if let Step::DoneAs(status) = step {
            self.final_status = Some(status);
        }
        Ok(Some(match step {
            Step::Pending(interim) => Verdict::Pending(interim),
            Step::Failed(state, problem) => Verdict::Ended(state, problem),
            Step::Fetch(url) => {
                self.is_done = true;
                Verdict::Pending(Interim {
                    retry_after: Some(Duration::ZERO),
                    ..Interim::at(url)
                })
            }
            // The body is consumed, and the caller is to have it.
            _ if body.is_some() => {
                if !self.is_polling() && !self.is_at_url() {
                    return Err(Error::new(Kind::BadAnswer).with_source(DialectError::gone()));
                }
                self.is_done = true;
                Verdict::Pending(self.once_more(Some(Duration::ZERO)))
            }
            Step::NeedsBody => Verdict::NeedsBody,
            Step::Done | Step::DoneAs(_) => Verdict::Final,
            Step::AsHead => return Ok(None),
        }))
    }

    /// Asks the dialect, if there is one.
    fn step(
        &mut self,
        status: StatusCode,
        headers: &HeaderMap,
        body: Option<&[u8]>,
        now: Instant,
    ) -> Option<Result<Step, DialectError>> {
        let is_polling = self.is_polling();
        let (dialect, context) = self.dialect.as_deref_mut()?;
        let asked = &self.course.asked;
        // A redirect leads to the next poll, and announces nothing.
        if !(is_polling && status.is_redirection()) {
            context.announced.note(asked, headers);
        }
        let limit = self.shared.config.drain_limit;
        let text = body.map(|body| decoded(headers, body, limit).ok_or_else(DialectError::coding));
        let accept = body.and_then(|_| self.headers.accept());
        Some(text.transpose().and_then(|text| {
            dialect.read(&Answer {
                asked: is_polling.then_some(asked),
                retry_after: retry_after(headers, self.clock.wall(now)),
                accept: accept.as_deref(),
                body: text.as_deref(),
                ..context.answer(status, headers)
            })
        }))
    }

    /// Reads the status of an answer to a poll without `Job-Status`.
    fn read_status(
        &mut self,
        status: StatusCode,
        headers: &HeaderMap,
        now: Instant,
    ) -> Result<Verdict, Error> {
        match status {
            _ if announces(status) || waits(status) => self.read_exchange(status, headers, now),
            // There is no such resource, so that it cannot have the answer to
            // a request that another one got.
            StatusCode::NOT_FOUND if self.is_within_grace(now) => {
                Ok(Verdict::Pending(self.once_more(None)))
            }
            // It is gone with the resource that was deleted.
            StatusCode::NOT_FOUND | StatusCode::GONE if self.is_deletion() => {
                self.final_status = Some(StatusCode::OK);
                Ok(Verdict::Final)
            }
            StatusCode::NOT_FOUND => Err(self.lost()),
            StatusCode::GONE => Ok(Verdict::Ended(JobState::Expired, None)),
            StatusCode::FORBIDDEN => Err(self.unauthorized()),
            _ if self.has_status && !self.is_done => {
                Err(Error::new(Kind::Unrelated).with_hint(Hint::OtherRoute))
            }
            _ => Ok(Verdict::Final),
        }
    }

    /// Reads an answer by the rules of HTTP alone.
    fn read_exchange(
        &self,
        status: StatusCode,
        headers: &HeaderMap,
        now: Instant,
    ) -> Result<Verdict, Error> {
        let exchange = Exchange::new(&self.method, &self.course.asked).polling(self.is_polling());
        let mut reading = exchange.read(status, headers, self.clock.wall(now));
        // After a wait on the server's side, the next poll may follow.
        if self.is_polling()
            && self.shared.config.long_poll.is_some()
            && let Ok(Reading::Pending(pending)) = &mut reading
            && PreferenceApplied::from_headers(headers).wait().is_some()
        {
            pending.retry_after = Some(Duration::ZERO);
        }
        match reading {
            Ok(Reading::Pending(pending)) => Ok(Verdict::Pending(pending.into())),
            Ok(_) => Ok(Verdict::Final),
            Err(error) => {
                let job = self.meant(headers, now);
                Err(Error::new(Kind::BadLocation)
                    .with_source(error)
                    .with_pending_job(job))
            }
        }
    }

    /// Returns whether the server may not know of the job yet: it was accepted
    /// only recently, without `Job-Status`, and no poll has found it.
    fn is_within_grace(&self, now: Instant) -> bool {
        let grace = self.shared.config.not_found_grace;
        !self.is_found
            && !self.has_status
            && !grace.is_zero()
            && now.saturating_duration_since(self.clock.start()) <= grace
    }

    /// Returns whether the work was a DELETE at an API that a dialect knows.
    fn is_deletion(&self) -> bool {
        let dialect = self.dialect.as_deref();
        dialect.is_some_and(|(_, context)| context.method == Method::DELETE)
    }

    /// Returns whether the resource at the URL of the submission is the one
    /// that it gets, replaces or changes.
    pub(super) fn is_at_url(&self) -> bool {
        let method = self.dialect.as_deref().map(|(_, context)| &context.method);
        method.is_some_and(|method| {
            [Method::GET, Method::HEAD, Method::PUT, Method::PATCH].contains(method)
        })
    }
}
