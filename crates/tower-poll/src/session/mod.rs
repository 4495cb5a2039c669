//! The state of polling that is not a future: where, when, with what.

mod advice;
mod clock;
mod cookies;
mod mending;
mod reading;
mod releasing;
mod requests;
mod storing;
mod watching;

use std::{sync::Arc, time::Duration};

use http::{
    HeaderMap, HeaderValue, Method, StatusCode, Uri, Version,
    header::SET_COOKIE,
    uri::{Parts, PathAndQuery},
};
use http_polling::{JobState, Progress, same_origin};
use tokio::time::Instant;

use crate::{
    config::{Config, Refreshing, Shared},
    dialect::{Chosen, Interim, Spoken},
    error::{Error, Hint},
    policy::{Hop, PollPolicy},
    redact::Redacted,
    request::{Caller, KeptHeaders, Sent},
};

use self::cookies::Jar;
pub(crate) use self::{clock::Clock, reading::Verdict};

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
    answer: Option<Announcement>,
    /// The content of the last pending answer, if one has been taken in.
    told: Option<Told>,
    /// An answer of this call had a `Job-Status`, so that those of the job
    /// have one.
    has_status: bool,
    /// A poll has found the job.
    is_found: bool,
    /// The URL of the job, while plain redirects lead away from it: to a page
    /// to log in on, say.
    left: Option<Box<Uri>>,
    clock: Clock,
    /// How many polls have failed in a row.
    retries: u32,
    /// The number of polls when one last failed.
    last_failure: u32,
    /// What the status of the response is to be, where a dialect says so.
    final_status: Option<StatusCode>,
    /// A new `Authorization` has been asked for.
    refreshed: bool,
    /// Credentials were dropped on the way.
    crossed: bool,
    /// What was done before the job was resumed.
    before: Option<Box<Before>>,
    /// The work is done, and its response is being fetched.
    is_done: bool,
    /// How this API says what status and headers do not.
    spoken: Option<Box<(Chosen, Spoken)>>,
    pub(crate) caller: Option<Box<Caller>>,
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
    /// When the last poll was sent.
    polled: Instant,
}

/// A pending answer, without its body.
#[derive(Debug)]
struct Announcement {
    to: Uri,
    status: StatusCode,
    headers: HeaderMap,
    /// The headers keep nothing of the answer's buffer in memory.
    is_released: bool,
    progress: Option<Box<Progress>>,
    /// When the poll is due.
    due: Instant,
}

#[derive(Clone, Copy, Debug, Default)]
struct Told {
    retry_after: Option<Duration>,
    state: Option<JobState>,
    /// Whether the URL is that of a job, as far as can be told.
    is_cancellable: bool,
}

/// Polls and time of a job before it was resumed.
#[derive(Clone, Copy, Debug, Default)]
struct Before {
    polls: u32,
    elapsed: Duration,
}

impl<P> Session<P> {
    /// The session of a call whose submission, to `uri`, has a pending answer.
    // Inlined by force, since a call would have to move it.
    #[inline(always)]
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
                polled: sent.at,
            },
            answer: None,
            told: None,
            has_status: false,
            is_found: false,
            left: None,
            clock,
            retries: 0,
            last_failure: 0,
            final_status: None,
            refreshed: false,
            crossed: false,
            before: None,
            is_done: false,
            spoken: None,
            caller: sent.caller,
        }
    }

    pub(crate) fn config(&self) -> &Config {
        &self.shared.config
    }

    pub(crate) fn deadline(&self) -> Instant {
        self.course.sent + self.course.limit
    }

    /// Returns whether the call is one of gRPC.
    pub(crate) fn is_grpc(&self) -> bool {
        self.headers.is_grpc()
    }

    pub(crate) fn origin(&self) -> &Uri {
        &self.course.origin
    }

    pub(crate) fn polls(&self) -> u32 {
        self.course.polls
    }

    /// Has the answers read by a dialect.
    pub(crate) fn speak(&mut self, dialect: Chosen, spoken: Spoken) {
        self.spoken = Some(Box::new((dialect, spoken)));
    }

    /// What the status of the response is to be in place of `status`, if it
    /// has another.
    pub(crate) fn final_status(&self, status: StatusCode) -> Option<StatusCode> {
        // What was said of an answer is not true of a failure to get it again.
        self.final_status
            .filter(|_| !self.is_done || status.is_success())
    }

    /// Whether the work is done, and its response is being fetched.
    pub(crate) fn is_done(&self) -> bool {
        self.is_done
    }

    /// Takes in a pending answer that came at `now`. Gives the delay before
    /// the next poll, or the reason why there is none.
    pub(crate) fn next(
        &mut self,
        interim: Interim,
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
        let mut told = Told {
            retry_after: interim.retry_after,
            state: interim.state,
            is_cancellable: false,
        };
        // A dialect has states of its own.
        self.has_status |= match self.spoken {
            None => told.state.is_some(),
            Some(_) => JobState::from_headers(&headers).is_some(),
        };
        let to = match self.reachable(interim.url) {
            Ok(to) => to,
            Err(to) => {
                let hint = Hint::BaseOrigin(origin_of(&to));
                let job = self.job_or_at(to, told, now);
                return Err(Error::foreign_location()
                    .with_hint(hint)
                    .about(status, headers)
                    .with_pending_job(Some(job)));
            }
        };
        told.is_cancellable = self.leads_to_job(&to, told, status, &headers);
        if told.is_cancellable {
            self.left = None;
        } else if self.has_status {
            self.note_leaving(told, status);
        }
        let mut answer = Announcement {
            to,
            status,
            headers,
            is_released: false,
            progress: interim.progress.map(Box::new),
            due: now,
        };
        let hop = self.course.hop(&answer, told, self.retries, now);
        let (remaining, is_cross_origin) = (hop.remaining(), hop.is_cross_origin());
        let delay = match self.policy.next(&hop) {
            Ok(delay) => delay,
            Err(refusal) => {
                let hint = refusal
                    .is_cross_origin()
                    .then(|| self.origin_hint(&answer.to));
                let job = self.job_or_at(answer.to, told, now);
                return Err(Error::refused(refusal)
                    .with_hint(hint)
                    .about(answer.status, answer.headers)
                    .with_pending_job(Some(job)));
            }
        };
        let is_late = hop.elapsed() > self.course.limit;
        if self.is_done {
            // What is fetched is read as any other answer.
            self.spoken = None;
        }
        if !self.jar.is_empty() && !same_origin(&self.course.asked, &answer.to) {
            self.jar.clear();
        }
        if is_cross_origin {
            self.drop_credentials();
        }
        tracing::debug!(
            poll = self.course.polls + 1,
            url = %Redacted(&answer.to),
            delay_ms = delay.as_millis() as u64,
            state = told.state.map(JobState::as_str),
            "the answer is pending",
        );
        if self.method != Method::HEAD {
            self.method = Method::GET;
        }
        answer.due = now + delay.min(FAR);
        self.told = Some(told);
        self.answer = Some(answer);
        if self.course.polls >= self.shared.config.max_polls {
            return Err(Error::too_many_polls());
        }
        if delay > remaining || is_late {
            return Err(Error::too_late(delay));
        }
        Ok(delay)
    }

    /// Notes where the job is if this answer to a poll, of a server that
    /// announced it by `Job-Status`, is a plain redirect.
    fn note_leaving(&mut self, told: Told, status: StatusCode) {
        let is_plain = told.retry_after.is_none() && told.state.is_none();
        if self.course.polls > 0 && status.is_redirection() && is_plain && self.left.is_none() {
            self.left = Some(Box::new(self.course.asked.clone()));
        }
    }

    /// Whether `to`, where an answer leads, is the URL of a job. It may be that
    /// of the resource that the work is about, which DELETE would destroy: the
    /// submission's own, or one that a plain redirect leads to in the end.
    fn leads_to_job(&self, to: &Uri, told: Told, status: StatusCode, headers: &HeaderMap) -> bool {
        let asked = &self.course.asked;
        // Paths first: they are compared at once, and mostly differ.
        let stays = to.path_and_query() == asked.path_and_query() && to == asked;
        if self.is_done {
            false
        } else if stays {
            let was = self.told.is_some_and(|before| before.is_cancellable);
            was || JobState::from_headers(headers).is_some()
        } else {
            let is_plain = told.retry_after.is_none() && told.state.is_none();
            !(self.told.is_some() && status.is_redirection() && is_plain)
        }
    }

    /// `to` as the service beneath can reach it; as it is, if it cannot. To a
    /// client that fills in scheme and authority itself, an absolute URI would
    /// mean its own host.
    fn reachable(&self, to: Uri) -> Result<Uri, Uri> {
        if self.course.origin.authority().is_some() || to.authority().is_none() {
            return Ok(to);
        }
        match &self.shared.config.base_origin {
            Some(base) if same_origin(base, &to) => {
                let mut parts = Parts::default();
                parts.path_and_query = to.into_parts().path_and_query;
                Ok(Uri::from_parts(parts).unwrap_or_default())
            }
            _ => Err(to),
        }
    }

    /// The future of a new authorization, where it can be of use: once, and
    /// at the submission's own origin.
    pub(crate) fn refresh(&mut self) -> Option<Refreshing> {
        let refresh = self.shared.config.refresh.as_ref()?;
        if self.refreshed || self.crossed {
            return None;
        }
        self.refreshed = true;
        Some(refresh(&self.course.asked))
    }

    pub(crate) fn authorize(&mut self, value: &HeaderValue) {
        self.headers.set_authorization(value);
    }

    fn drop_credentials(&mut self) {
        self.headers.drop_credentials(&self.shared.config.keep);
        self.crossed = true;
    }

    fn before(&self) -> Before {
        self.before.as_deref().copied().unwrap_or_default()
    }

    /// Where the job is, or the last request went.
    fn url(&self) -> &Uri {
        match &self.answer {
            Some(answer) => &answer.to,
            None => &self.course.asked,
        }
    }
}

impl Course {
    fn hop<'a>(
        &'a self,
        answer: &'a Announcement,
        told: Told,
        retries: u32,
        now: Instant,
    ) -> Hop<'a> {
        let elapsed = now.saturating_duration_since(self.sent);
        Hop {
            poll: self.polls + 1,
            retries,
            submission: &self.origin,
            from: &self.asked,
            to: &answer.to,
            status: answer.status,
            headers: &answer.headers,
            retry_after: told.retry_after,
            state: told.state,
            elapsed,
            remaining: self.limit.saturating_sub(elapsed),
            is_cross_origin: !same_origin(&self.origin, &answer.to),
        }
    }
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
