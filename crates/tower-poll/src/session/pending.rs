//! Taking in a pending answer.

use std::time::Duration;

use http::{HeaderMap, Method, StatusCode, Uri, header::SET_COOKIE, uri::Parts};
use http_polling::{JobState, same_origin};
use tokio::time::Instant;

use super::state::{Announcement, FAR, Session, Summary, origin_of};
use crate::{
    dialect::Interim,
    error::{Error, Hint, Kind},
    policy::poll_policy::PollPolicy,
    redact::Redacted,
};

impl<P: PollPolicy> Session<P> {
    /// Takes in a pending answer that came at `now`. Gives the delay before
    /// the next poll.
    ///
    /// # Errors
    ///
    /// Fails if there may be no such poll.
    pub(crate) fn next(
        &mut self,
        interim: Interim,
        status: StatusCode,
        headers: HeaderMap,
        now: Instant,
    ) -> Result<Duration, Error> {
        if self.shared.config.cookies && headers.contains_key(SET_COOKIE) {
            self.jar
                .store(&headers, &self.course.asked, self.clock.wall(now));
        }
        let mut summary = Summary {
            retry_after: interim.retry_after,
            state: interim.state,
            is_cancellable: false,
        };
        // The states of a dialect are not those of `Job-Status`.
        self.has_status |= match self.dialect {
            None => summary.state.is_some(),
            Some(_) => JobState::from_headers(&headers).is_some(),
        };
        let mut answer = Announcement {
            to: interim.url,
            status,
            headers,
            is_released: false,
            progress: interim.progress.map(Box::new),
            due: now,
        };
        if !self.make_reachable(&mut answer.to) {
            let hint = Hint::BaseOrigin(origin_of(&answer.to));
            let error = Error::new(Kind::ForeignLocation).with_hint(hint);
            return Err(self.end(error, answer, summary, now));
        }
        summary.is_cancellable = self.leads_to_job(&answer, summary);
        self.note_leaving(&answer, summary);
        let hop = self.course.hop(&answer, summary, self.retries, now);
        let (elapsed, remaining) = (hop.elapsed(), hop.remaining());
        let is_cross_origin = hop.is_cross_origin();
        let delay = match self.policy.next(&hop) {
            Ok(delay) => delay,
            Err(refusal) => {
                let hint = refusal
                    .is_cross_origin()
                    .then(|| self.origin_hint(&answer.to));
                let error = Error::refused(refusal).with_hint(hint);
                return Err(self.end(error, answer, summary, now));
            }
        };
        tracing::debug!(
            poll = self.course.polls + 1,
            url = %Redacted(&answer.to),
            delay_ms = delay.as_millis() as u64,
            state = summary.state.map(JobState::as_str),
            "the answer is pending",
        );
        answer.due = now + delay.min(FAR);
        self.move_on(answer, summary, is_cross_origin);
        if self.course.polls >= self.shared.config.max_polls {
            return Err(Error::new(Kind::TooManyPolls));
        }
        if delay > remaining || elapsed > self.course.limit {
            return Err(Error::new(Kind::TooLate { delay }));
        }
        Ok(delay)
    }

    /// Makes `answer` the last pending one.
    // Inlined by force, since a call would have to move the answer.
    #[inline(always)]
    fn move_on(&mut self, answer: Announcement, summary: Summary, is_cross_origin: bool) {
        if self.is_done {
            // The response is read as any other answer.
            self.dialect = None;
        }
        if !self.jar.is_empty() && !same_origin(&self.course.asked, &answer.to) {
            self.jar.clear();
        }
        if is_cross_origin {
            self.drop_credentials();
        }
        if self.method != Method::HEAD {
            self.method = Method::GET;
        }
        self.summary = Some(summary);
        self.answer = Some(answer);
    }

    /// Adds `answer` and its job to the error that it ends in.
    fn end(&self, error: Error, answer: Announcement, summary: Summary, now: Instant) -> Error {
        let job = self.job_or_at(answer.to, summary, now);
        error
            .about(answer.status, answer.headers)
            .with_pending_job(Some(job))
    }

    /// Updates the URL that plain redirects have led away from, for a server
    /// that announced its job by `Job-Status`.
    fn note_leaving(&mut self, answer: &Announcement, summary: Summary) {
        let is_redirect = answer.status.is_redirection() && summary.is_plain();
        if summary.is_cancellable {
            self.left = None;
        } else if self.has_status && self.course.polls > 0 && is_redirect && self.left.is_none() {
            self.left = Some(Box::new(self.course.asked.clone()));
        }
    }

    /// Returns whether `answer` leads to the URL of a job. It may be that of
    /// the resource that the work is about, which DELETE would destroy: the
    /// submission's own, or the target of plain redirects.
    fn leads_to_job(&self, answer: &Announcement, summary: Summary) -> bool {
        let (to, asked) = (&answer.to, &self.course.asked);
        // Paths first: they are compared at once, and usually differ.
        let stays = to.path_and_query() == asked.path_and_query() && to == asked;
        if self.is_done {
            false
        } else if stays {
            let was = self.summary.is_some_and(|before| before.is_cancellable);
            was || JobState::from_headers(&answer.headers).is_some()
        } else {
            !(self.is_polling() && answer.status.is_redirection() && summary.is_plain())
        }
    }

    /// Makes `to` a URL that the service beneath can reach. Returns whether it
    /// can. To a client that fills in scheme and authority itself, an absolute
    /// URI would mean its own host.
    fn make_reachable(&self, to: &mut Uri) -> bool {
        if self.course.origin.authority().is_some() || to.authority().is_none() {
            return true;
        }
        let base = self.shared.config.base_origin.as_ref();
        let is_base = base.is_some_and(|base| same_origin(base, to));
        if is_base {
            let mut parts = Parts::default();
            parts.path_and_query = to.path_and_query().cloned();
            *to = Uri::from_parts(parts).unwrap_or_default();
        }
        is_base
    }
}
