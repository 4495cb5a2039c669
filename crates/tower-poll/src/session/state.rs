//! The state itself.

use std::{sync::Arc, time::Duration};

use http::{
    HeaderMap, HeaderValue, Method, StatusCode, Uri, Version,
    uri::{Parts, PathAndQuery},
};
use http_polling::{JobState, Progress, same_origin};
use tokio::time::Instant;

use super::{clock::Clock, cookies::Jar};
use crate::{
    config::{Config, Refreshing, Shared},
    dialect::{CallContext, Chosen},
    policy::hop::Hop,
    request::{Caller, KeptHeaders, Sent},
};

/// Farther off than any timer goes. No deadline is later.
pub(super) const FAR: Duration = Duration::from_secs(60 * 60 * 24 * 365 * 30);

/// The state of one call.
#[derive(Debug)]
pub(crate) struct Session<P> {
    pub(super) shared: Arc<Shared<P>>,
    pub(super) policy: P,
    pub(super) method: Method,
    pub(super) version: Version,
    pub(super) headers: KeptHeaders,
    pub(super) jar: Jar,
    pub(super) course: Course,
    /// The pending answer that makes a poll necessary, until that is sent.
    pub(super) answer: Option<Announcement>,
    /// The content of the last pending answer, if one has been taken in.
    pub(super) summary: Option<Summary>,
    /// An answer of this call had a `Job-Status`, so that those of the job
    /// have one.
    pub(super) has_status: bool,
    /// A poll has found the job.
    pub(super) is_found: bool,
    /// The URL of the job, while plain redirects lead away from it: to a login
    /// page, say.
    pub(super) left: Option<Box<Uri>>,
    pub(super) clock: Clock,
    /// The number of polls that have failed in a row.
    pub(super) retries: u32,
    /// The number of polls when one last failed.
    pub(super) last_failure: u32,
    /// The status of the response, if a dialect names another one.
    pub(super) final_status: Option<StatusCode>,
    /// A new `Authorization` has been requested.
    pub(super) refreshed: bool,
    /// Credentials were dropped on the way.
    pub(super) crossed: bool,
    /// The part of the call before the job was resumed.
    pub(super) before: Option<Box<Before>>,
    /// The work is done, and its response is being fetched.
    pub(super) is_done: bool,
    /// The dialect of the API, if answers need one to be read.
    pub(super) dialect: Option<Box<(Chosen, CallContext)>>,
    pub(crate) caller: Option<Box<Caller>>,
}

/// The way that a call has gone.
#[derive(Debug)]
pub(super) struct Course {
    /// Scheme and authority of the submission, with the path `/`.
    pub(super) origin: Uri,
    /// The URL of the last request: of the submission, then of the polls.
    pub(super) asked: Uri,
    pub(super) polls: u32,
    pub(super) sent: Instant,
    pub(super) limit: Duration,
    /// The time at which the last poll was sent.
    pub(super) polled: Instant,
}

/// A pending answer, without its body.
#[derive(Debug)]
pub(super) struct Announcement {
    pub(super) to: Uri,
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    /// The headers keep nothing of the answer's buffer in memory.
    pub(super) is_released: bool,
    pub(super) progress: Option<Box<Progress>>,
    /// The time at which the poll is due.
    pub(super) due: Instant,
}

/// The content of a pending answer.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Summary {
    pub(super) retry_after: Option<Duration>,
    pub(super) state: Option<JobState>,
    /// The URL is that of a job, as far as can be known.
    pub(super) is_cancellable: bool,
}

/// Polls and time of a job before it was resumed.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Before {
    pub(super) polls: u32,
    pub(super) elapsed: Duration,
}

impl<P> Session<P> {
    /// The session of a call whose submission went to `uri`.
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
            summary: None,
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
            dialect: None,
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

    /// Returns whether a pending answer has been taken in, so that later
    /// answers are those to polls.
    pub(crate) fn is_polling(&self) -> bool {
        self.summary.is_some()
    }

    /// Returns the status of the response in place of `status`, if it has
    /// another.
    pub(crate) fn final_status(&self, status: StatusCode) -> Option<StatusCode> {
        // It is that of an answer, and not of a failure to get it again.
        self.final_status
            .filter(|_| !self.is_done || status.is_success())
    }

    /// Returns whether the work is done, and its response is being fetched.
    pub(crate) fn is_done(&self) -> bool {
        self.is_done
    }

    /// Returns the future of a new authorization, if it can be of use: once,
    /// and at the submission's own origin.
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

    pub(super) fn drop_credentials(&mut self) {
        self.headers.drop_credentials(&self.shared.config.keep);
        self.crossed = true;
    }

    pub(super) fn before(&self) -> Before {
        self.before.as_deref().copied().unwrap_or_default()
    }

    /// The URL of the job, or of the last request.
    pub(super) fn url(&self) -> &Uri {
        match &self.answer {
            Some(answer) => &answer.to,
            None => &self.course.asked,
        }
    }
}

impl Summary {
    /// Returns whether the answer has neither a delay nor a state, as plain
    /// redirects do.
    pub(super) fn is_plain(&self) -> bool {
        self.retry_after.is_none() && self.state.is_none()
    }
}

impl Course {
    pub(super) fn hop<'a>(
        &'a self,
        answer: &'a Announcement,
        summary: Summary,
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
            retry_after: summary.retry_after,
            state: summary.state,
            elapsed,
            remaining: self.limit.saturating_sub(elapsed),
            is_cross_origin: !same_origin(&self.origin, &answer.to),
        }
    }
}

pub(super) fn origin_of(uri: &Uri) -> Uri {
    let mut parts = Parts::default();
    if let (Some(scheme), Some(authority)) = (uri.scheme(), uri.authority()) {
        parts.scheme = Some(scheme.clone());
        parts.authority = Some(authority.clone());
    }
    parts.path_and_query = Some(PathAndQuery::from_static("/"));
    Uri::from_parts(parts).unwrap_or_default()
}
