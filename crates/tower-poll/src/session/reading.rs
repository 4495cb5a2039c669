//! What answers mean.

use std::time::Duration;

use http::{HeaderMap, Method, StatusCode};
use http_polling::{
    Exchange, JobState, PreferenceApplied, Problem, Reading, has_retry_after, is_grpc, retry_after,
};
use tokio::time::Instant;
use tower::retry::budget::Budget;

use super::Session;
use crate::{
    Error,
    coding::decoded,
    dialect::{Answer, Chosen, DialectError, Interim, Step},
    statuses::{announces, is_failure},
};

/// The most repeats of a poll whose answer is 500: it may well be that of the job, which some servers
/// tell so of work that failed.
const MOST_500: u32 = 3;

/// A held poll that is cut after this time was cut for being held.
const CUT_AFTER: Duration = Duration::from_secs(1);

/// How many good polls before one that failed count for the budget.
const MOST_PAID: u32 = 100;

/// What an answer means.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// There will be another poll.
    Pending(Interim),
    /// To be passed up as it is.
    Final,
    /// The poll failed, and is not repeated: passed up too, with the job.
    GivenUp,
    /// The head does not tell.
    NeedsBody,
    /// The job has ended and has no answer of its own.
    Ended(JobState, Option<Box<Problem>>),
    /// The credentials are not good any more.
    Unauthorized,
}

impl<P> Session<P> {
    /// What the answer to the last poll means.
    pub(crate) fn read(
        &mut self,
        status: StatusCode,
        headers: &HeaderMap,
        now: Instant,
    ) -> Result<Verdict, Error> {
        let state = JobState::from_headers(headers);
        if state.is_none()
            && let Some(verdict) = self.failed(status, headers, now)
        {
            return Ok(verdict);
        }
        self.retries = 0;
        let is_lost = status == StatusCode::NOT_FOUND || state == Some(JobState::Unknown);
        self.is_found |= !(is_lost || state.is_none() && is_failure(status));
        if (state.is_none() || self.has_own_dialect())
            && let Some(verdict) = self.read_in_dialect(status, headers, None, now)?
        {
            return Ok(verdict);
        }
        match state {
            None => self.read_head(status, headers, now),
            Some(JobState::Unknown) if self.is_within_grace(now) => {
                Ok(Verdict::Pending(self.once_more(None)))
            }
            Some(JobState::Done) => Ok(Verdict::Final),
            // A gRPC answer tells its failure in its own way (trailers-only).
            Some(state) if state.is_final() && is_grpc(headers) => Ok(Verdict::Final),
            Some(state) if state.is_final() => Ok(Verdict::Ended(state, None)),
            Some(_) => self.read_closely(status, headers, now),
        }
    }

    /// What the answer to the submission means that a dialect has recognised.
    pub(crate) fn read_submission(
        &mut self,
        status: StatusCode,
        headers: &HeaderMap,
        now: Instant,
    ) -> Result<Verdict, Error> {
        match self.read_in_dialect(status, headers, None, now)? {
            Some(verdict) => Ok(verdict),
            None => self.read_closely(status, headers, now),
        }
    }

    /// Whether the user has put the dialect onto the layer: then it goes
    /// before `Job-Status`.
    fn has_own_dialect(&self) -> bool {
        matches!(self.spoken.as_deref(), Some((Chosen::Own(_), _)))
    }

    /// What an answer means to the dialect, if there is one and it does not
    /// leave that to the head. Never final where the body has been read.
    pub(crate) fn read_in_dialect(
        &mut self,
        status: StatusCode,
        headers: &HeaderMap,
        body: Option<&[u8]>,
        now: Instant,
    ) -> Result<Option<Verdict>, Error> {
        let Some((dialect, spoken)) = self.spoken.as_deref_mut() else {
            return Ok(None);
        };
        let asked = &self.course.asked;
        let is_poll = self.told.is_some();
        // A redirect leads to the next poll, and announces nothing.
        if !(is_poll && status.is_redirection()) {
            spoken.announced.note(asked, headers);
        }
        let limit = self.shared.config.drain_limit;
        let text = body.map(|body| decoded(headers, body, limit).ok_or_else(DialectError::coding));
        let accept = body.and_then(|_| self.headers.accept());
        let step = text.transpose().and_then(|text| {
            dialect.read(&Answer {
                method: &spoken.method,
                submitted_to: &spoken.submission,
                asked: is_poll.then_some(asked),
                announced: &spoken.announced,
                status,
                headers,
                retry_after: retry_after(headers, self.clock.wall(now)),
                accept: accept.as_deref(),
                body: text.as_deref(),
            })
        });
        if let Ok(Step::DoneAs(status)) = step {
            self.final_status = Some(status);
        }
        // What was sent by these is not what is at the URL.
        let is_gone = !is_poll && matches!(spoken.method, Method::POST | Method::DELETE);
        let step = step
            .map_err(|error| Error::bad_answer(error).with_pending_job(self.meant(headers, now)))?;
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
            // The body is gone, and the caller is to have it.
            _ if body.is_some() => {
                if is_gone {
                    return Err(Error::bad_answer(DialectError::gone()));
                }
                self.is_done = true;
                Verdict::Pending(self.once_more(Some(Duration::ZERO)))
            }
            Step::NeedsBody => Verdict::NeedsBody,
            Step::Done | Step::DoneAs(_) => Verdict::Final,
            Step::AsHead => return Ok(None),
        }))
    }

    /// What an answer without `Job-Status` means by its head alone.
    fn read_head(
        &mut self,
        status: StatusCode,
        headers: &HeaderMap,
        now: Instant,
    ) -> Result<Verdict, Error> {
        match status {
            _ if wants_reading(status) => self.read_closely(status, headers, now),
            // There is no such resource, so that it cannot have the answer to
            // what was asked for at another one.
            StatusCode::NOT_FOUND if self.is_within_grace(now) => {
                Ok(Verdict::Pending(self.once_more(None)))
            }
            // It is gone with what was deleted.
            StatusCode::NOT_FOUND | StatusCode::GONE if self.is_deletion() => {
                self.final_status = Some(StatusCode::OK);
                Ok(Verdict::Final)
            }
            StatusCode::NOT_FOUND => Err(self.lost()),
            StatusCode::GONE => Ok(Verdict::Ended(JobState::Expired, None)),
            StatusCode::FORBIDDEN => Err(self.unauthorized()),
            _ if self.has_status && !self.is_done => Err(Error::unrelated()),
            _ => Ok(Verdict::Final),
        }
    }

    fn read_closely(
        &self,
        status: StatusCode,
        headers: &HeaderMap,
        now: Instant,
    ) -> Result<Verdict, Error> {
        let exchange = Exchange::new(&self.method, &self.course.asked).polling(self.told.is_some());
        match exchange.read(status, headers, self.clock.wall(now)) {
            Ok(Reading::Pending(pending)) => {
                let mut interim = Interim::from(pending);
                // After a wait on the server's side, the next may follow.
                if self.shared.config.long_poll.is_some()
                    && PreferenceApplied::from_headers(headers).wait().is_some()
                {
                    interim.retry_after = Some(Duration::ZERO);
                }
                Ok(Verdict::Pending(interim))
            }
            Ok(_) => Ok(Verdict::Final),
            Err(error) => Err(self.unreadable(error, headers, now)),
        }
    }

    /// What an answer without `Job-Status` means that says that the poll
    /// failed, rather than the job.
    fn failed(&mut self, status: StatusCode, headers: &HeaderMap, now: Instant) -> Option<Verdict> {
        if status == StatusCode::UNAUTHORIZED {
            return Some(Verdict::Unauthorized);
        }
        if !is_failure(status) {
            return None;
        }
        let delay = retry_after(headers, self.clock.wall(now));
        if waits(status) && has_retry_after(headers) {
            // A pending answer like others: all is well, but not yet.
            return None;
        }
        // These come from the server itself, and not from what gave up on it.
        let is_its_own = matches!(
            status,
            StatusCode::TOO_MANY_REQUESTS | StatusCode::INTERNAL_SERVER_ERROR
        );
        if status == StatusCode::INTERNAL_SERVER_ERROR && self.retries >= MOST_500 {
            return Some(Verdict::GivenUp);
        }
        let verdict = self.repeat(delay, !is_its_own, now).map(Verdict::Pending);
        Some(verdict.unwrap_or(Verdict::GivenUp))
    }

    /// The repetition of a poll that failed, if there may be one.
    pub(crate) fn repeat(
        &mut self,
        delay: Option<Duration>,
        may_be_cut: bool,
        now: Instant,
    ) -> Option<Interim> {
        let held = now.saturating_duration_since(self.course.polled);
        if may_be_cut && self.shared.config.long_poll.is_some() && held >= CUT_AFTER {
            // Cut by somebody between, who had enough of waiting.
            return Some(self.once_more(delay.or(Some(Duration::ZERO))));
        }
        // Paid in only now, so that calls that go well do not pay.
        let good = self.course.polls - self.last_failure - 1;
        (0..good.min(MOST_PAID)).for_each(|_| self.shared.budget.deposit());
        self.last_failure = self.course.polls;
        let may = self.retries < self.shared.config.poll_retries && self.shared.budget.withdraw();
        may.then(|| {
            self.retries += 1;
            self.once_more(delay)
        })
    }

    /// To be asked where the last poll went.
    pub(crate) fn once_more(&self, retry_after: Option<Duration>) -> Interim {
        Interim {
            retry_after,
            state: self.told.and_then(|told| told.state),
            ..Interim::at(self.course.asked.clone())
        }
    }

    /// Returns whether the server may not know of the job yet: no poll has found it,
    /// and it was accepted only now, by a server that would not say so.
    fn is_within_grace(&self, now: Instant) -> bool {
        let grace = self.shared.config.not_found_grace;
        !self.is_found
            && !self.has_status
            && !grace.is_zero()
            && now.saturating_duration_since(self.clock.start()) <= grace
    }

    /// Returns whether the work was a DELETE at an API that a dialect knows.
    fn is_deletion(&self) -> bool {
        let spoken = self.spoken.as_deref();
        spoken.is_some_and(|(_, spoken)| spoken.method == Method::DELETE)
    }
}

/// Whether an answer that has no `Job-Status` is worth a closer look.
fn wants_reading(status: StatusCode) -> bool {
    announces(status) || waits(status)
}

/// Whether Retry-After makes an answer of this status a pending one.
fn waits(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE
    )
}
