//! The state of polling that is not a future: where, when, with what.

use std::{sync::Arc, time::Duration};

use http::{
    HeaderMap, Method, Request, Response, StatusCode, Uri, Version,
    header::SET_COOKIE,
    uri::{Parts, PathAndQuery},
};
use http_polling::{Exchange, JobState, Pending, Reading, is_grpc, same_origin};
use tokio::time::Instant;

use crate::{
    Error, Hop, PendingJob, PollPolicy,
    clock::Clock,
    config::{Config, Shared},
    cookies::Jar,
    kept::KeptHeaders,
    redact::Redacted,
    submission::Sent,
};

/// Farther off than any timer goes. No deadline is later.
const FAR: Duration = Duration::from_secs(60 * 60 * 24 * 365 * 30);

/// What the polls of one call know.
#[derive(Debug)]
pub(crate) struct Session<P> {
    shared: Arc<Shared<P>>,
    policy: P,
    method: Method,
    version: Version,
    headers: KeptHeaders,
    jar: Jar,
    course: Course,
    /// The pending answer that makes a poll necessary, until that is sent.
    answer: Option<Answer>,
    /// What the last pending answer said, if the job was accepted.
    told: Option<Told>,
    clock: Clock,
}

/// How far a call has come.
#[derive(Debug)]
struct Course {
    /// Scheme and authority of the submission, with the path `/`.
    origin: Uri,
    /// Where the last request went: the submission, then the polls.
    asked: Uri,
    polls: u32,
    sent: Instant,
    limit: Duration,
}

/// A pending answer, without its body.
#[derive(Debug)]
struct Answer {
    to: Uri,
    status: StatusCode,
    headers: HeaderMap,
}

#[derive(Clone, Copy, Debug)]
struct Told {
    retry_after: Option<Duration>,
    state: Option<JobState>,
}

/// What the answer to a poll means.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// There will be another poll.
    Pending(Pending),
    /// To be passed up as it is.
    Final,
    /// The job has ended and has no answer of its own.
    Ended(JobState),
}

impl<P> Session<P> {
    /// The session of a call whose submission, to `uri`, has a pending answer.
    #[inline]
    pub(crate) fn start(sent: Sent, uri: Uri, shared: Arc<Shared<P>>, clock: Clock) -> Self
    where
        P: Clone,
    {
        let limit = shared.config.deadline;
        let own_limit = sent.headers.grpc_timeout();
        let limit = own_limit.map_or(limit, |own| own.min(limit));
        Self {
            policy: shared.policy.clone(),
            shared,
            method: sent.method,
            version: sent.version,
            headers: sent.headers,
            jar: Jar::default(),
            course: Course {
                origin: origin_of(&uri),
                asked: uri,
                polls: 0,
                sent: sent.at,
                limit: limit.min(FAR),
            },
            answer: None,
            told: None,
            clock,
        }
    }

    pub(crate) fn config(&self) -> &Config {
        &self.shared.config
    }

    pub(crate) fn deadline(&self) -> Instant {
        self.course.sent + self.course.limit
    }

    pub(crate) fn origin(&self) -> &Uri {
        &self.course.origin
    }

    pub(crate) fn polls(&self) -> u32 {
        self.course.polls
    }

    /// What the answer to the last poll means.
    pub(crate) fn read<R>(&self, response: &Response<R>, now: Instant) -> Result<Verdict, Error> {
        let (status, headers) = (response.status(), response.headers());
        let state = match JobState::from_headers(headers) {
            Some(state) if state.is_final() => state,
            None if !may_be_pending(status) => match status {
                // There is no such resource, so that it cannot have the
                // answer to what was asked for at another one.
                StatusCode::NOT_FOUND => JobState::Unknown,
                StatusCode::GONE => JobState::Expired,
                _ => return Ok(Verdict::Final),
            },
            _ => return self.read_closely(status, headers, now),
        };
        // A gRPC answer tells its failure in its own way (trailers-only).
        if state == JobState::Done || is_grpc(headers) {
            return Ok(Verdict::Final);
        }
        Ok(Verdict::Ended(state))
    }

    fn read_closely(
        &self,
        status: StatusCode,
        headers: &HeaderMap,
        now: Instant,
    ) -> Result<Verdict, Error> {
        let exchange = Exchange {
            method: &self.method,
            uri: &self.course.asked,
            polling: true,
        };
        match exchange.read(status, headers, self.clock.wall(now)) {
            Ok(Reading::Pending(pending)) => Ok(Verdict::Pending(pending)),
            Ok(_) => Ok(Verdict::Final),
            Err(error) => Err(Error::bad_location(error).with_pending_job(self.job(now))),
        }
    }

    /// Takes in a pending answer that came at `now`. Gives the delay before
    /// the next poll, or the reason why there is none.
    pub(crate) fn next(
        &mut self,
        pending: Pending,
        status: StatusCode,
        headers: HeaderMap,
        now: Instant,
    ) -> Result<Duration, Error>
    where
        P: PollPolicy,
    {
        if self.shared.config.cookies && headers.contains_key(SET_COOKIE) {
            self.jar
                .store(&headers, &self.course.asked, self.clock.wall(now));
        }
        let told = Told {
            retry_after: pending.retry_after,
            state: pending.state,
        };
        // Until all have agreed to where it leads, the job is where it was.
        let to = self
            .reachable(pending.uri)
            .map_err(|error| error.with_pending_job(self.job(now)))?;
        let answer = Answer {
            to,
            status,
            headers,
        };
        let hop = self.course.hop(&answer, told, now);
        let remaining = hop.remaining();
        let delay = match self.policy.next(&hop) {
            Ok(delay) => delay,
            Err(refusal) => {
                return Err(Error::refused(refusal).with_pending_job(self.job(now)));
            }
        };
        let is_late = hop.elapsed() > self.course.limit;
        if !self.jar.is_empty() && !same_origin(&self.course.asked, &answer.to) {
            self.jar.clear();
        }
        if !same_origin(&self.course.origin, &answer.to) {
            self.headers.drop_credentials(&self.shared.config.keep);
        }
        tracing::debug!(
            poll = self.course.polls + 1,
            url = %Redacted(&answer.to),
            delay_ms = delay.as_millis() as u64,
            state = told.state.map(JobState::as_str),
            "the answer is pending",
        );
        self.method = pending.method;
        self.told = Some(told);
        self.answer = Some(answer);
        if self.course.polls >= self.shared.config.max_polls {
            return Err(Error::too_many_polls().with_pending_job(self.job(now)));
        }
        if delay > remaining || is_late {
            return Err(Error::too_late(delay).with_pending_job(self.job(now)));
        }
        Ok(delay)
    }

    /// `to` as the service beneath can reach it. To a client that fills in
    /// scheme and authority itself, an absolute URI would mean its own host.
    fn reachable(&self, to: Uri) -> Result<Uri, Error> {
        if self.course.origin.authority().is_some() || to.authority().is_none() {
            return Ok(to);
        }
        match &self.shared.config.base_origin {
            Some(base) if same_origin(base, &to) => {
                let mut parts = Parts::default();
                parts.path_and_query = to.into_parts().path_and_query;
                Ok(Uri::from_parts(parts).unwrap_or_default())
            }
            _ => Err(Error::foreign_location()),
        }
    }

    /// The poll that the last pending answer made necessary, sent at `now`.
    pub(crate) fn poll<B: Default>(&mut self, now: Instant) -> Request<B>
    where
        P: PollPolicy,
    {
        let mut request = Request::new(B::default());
        let Some(mut answer) = self.answer.take() else {
            unreachable!("there is one poll for each pending answer");
        };
        *request.method_mut() = self.method.clone();
        *request.version_mut() = self.version;
        *request.uri_mut() = answer.to.clone();
        let own = &self.shared.config.keep;
        let cookies = match self.jar.is_empty() {
            true => None,
            false => {
                let own = self.headers.cookies();
                Some(self.jar.header(own, &answer.to, self.clock.wall(now)))
            }
        };
        let told = self.told.filter(|_| self.policy.prepares_polls());
        if let Some(told) = told {
            self.headers.fill(request.headers_mut(), own, cookies);
            let (mut parts, body) = request.into_parts();
            let hop = self.course.hop(&answer, told, now);
            self.policy.prepare_poll(&mut parts, &hop);
            request = Request::from_parts(parts, body);
        } else {
            // Nobody looks at the answer any more, and its map has room.
            answer.headers.clear();
            self.headers.fill(&mut answer.headers, own, cookies);
            *request.headers_mut() = answer.headers;
        }
        self.course.asked = answer.to;
        self.course.polls += 1;
        request
    }

    /// Where the job can be asked for, if it was accepted.
    pub(crate) fn job(&self, now: Instant) -> Option<PendingJob> {
        let told = self.told?;
        Some(PendingJob {
            url: match &self.answer {
                Some(answer) => answer.to.clone(),
                None => self.course.asked.clone(),
            },
            origin: self.course.origin.clone(),
            method: self.method.clone(),
            polls: self.course.polls,
            elapsed: now.saturating_duration_since(self.course.sent),
            retry_after: told.retry_after,
            state: told.state,
        })
    }
}

impl Course {
    fn hop<'a>(&'a self, answer: &'a Answer, told: Told, now: Instant) -> Hop<'a> {
        let elapsed = now.saturating_duration_since(self.sent);
        Hop {
            poll: self.polls + 1,
            submission: &self.origin,
            from: &self.asked,
            to: &answer.to,
            status: answer.status,
            headers: &answer.headers,
            retry_after: told.retry_after,
            state: told.state,
            elapsed,
            remaining: self.limit.saturating_sub(elapsed),
        }
    }
}

/// Whether an answer to a poll that has no `Job-Status` is worth a closer
/// look.
fn may_be_pending(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::ACCEPTED
            | StatusCode::MOVED_PERMANENTLY
            | StatusCode::FOUND
            | StatusCode::SEE_OTHER
            | StatusCode::TEMPORARY_REDIRECT
            | StatusCode::PERMANENT_REDIRECT
            | StatusCode::TOO_MANY_REQUESTS
            | StatusCode::SERVICE_UNAVAILABLE
    )
}

fn origin_of(uri: &Uri) -> Uri {
    let mut parts = Parts::default();
    if let (Some(scheme), Some(authority)) = (uri.scheme(), uri.authority()) {
        parts.scheme = Some(scheme.clone());
        parts.authority = Some(authority.clone());
    }
    parts.path_and_query = Some(PathAndQuery::from_static("/"));
    Uri::from_parts(parts).unwrap_or_default()
}
