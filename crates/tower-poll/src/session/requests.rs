//! The polls, and the DELETE of a job.

use http::{HeaderMap, HeaderValue, Method, Request, Uri, header::ACCEPT_ENCODING};
use http_polling::{Prefer, same_origin};
use tokio::time::Instant;

use super::state::Session;
use crate::policy::poll_policy::PollPolicy;

impl<P> Session<P> {
    /// Makes the poll after the last pending answer, sent at `now`.
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
        let cookies = self.cookies(&answer.to, now);
        let summary = self.summary.filter(|_| self.policy.prepares_polls());
        if let Some(summary) = summary {
            self.fill(request.headers_mut(), cookies);
            let (mut parts, body) = request.into_parts();
            let hop = self.course.hop(&answer, summary, self.retries, now);
            self.policy.prepare_poll(&mut parts, &hop);
            request = Request::from_parts(parts, body);
        } else {
            // The answer is not needed after this, and its map has room.
            answer.headers.clear();
            self.fill(&mut answer.headers, cookies);
            *request.headers_mut() = answer.headers;
        }
        if let Some(wait) = self.shared.config.long_poll {
            let left = self.deadline().saturating_duration_since(now);
            let prefer = Prefer::new().with_wait(wait.min(left));
            prefer.append_to(request.headers_mut());
        }
        self.course.asked = answer.to;
        self.course.polls += 1;
        self.course.polled = now;
        request
    }

    /// Puts the headers of a poll into an empty `map`.
    fn fill(&self, map: &mut HeaderMap, cookies: Option<HeaderValue>) {
        self.headers.fill(map, &self.shared.config.keep, cookies);
        if let Some((dialect, _)) = self.dialect.as_deref()
            && dialect.polls_documents()
        {
            map.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        }
    }

    /// Returns whether the job is at a URL for DELETE, unless a dialect has
    /// another.
    pub(crate) fn is_cancellable(&self) -> bool {
        self.summary.is_some_and(|summary| summary.is_cancellable)
    }

    /// Makes the request that cancels the job at its last URL, if there is
    /// one.
    pub(crate) fn cancel<B: Default>(&self, now: Instant) -> Option<Request<B>> {
        if !self.is_cancellable() {
            return None;
        }
        let url = match self.dialect.as_deref() {
            None => self.url().clone(),
            // The credentials are those for the URL of polls.
            Some((dialect, _)) => dialect
                .cancellation(self.url())
                .filter(|url| same_origin(url, self.url()))?,
        };
        let mut request = Request::new(B::default());
        *request.method_mut() = Method::DELETE;
        *request.version_mut() = self.version;
        let own = &self.shared.config.keep;
        let cookies = self.cookies(&url, now);
        self.headers.fill(request.headers_mut(), own, cookies);
        *request.uri_mut() = url;
        Some(request)
    }

    /// Returns the `Cookie` of a request to `url`, if it differs from the
    /// submission's.
    #[inline]
    fn cookies(&self, url: &Uri, now: Instant) -> Option<HeaderValue> {
        (!self.jar.is_empty()).then(|| {
            let own = self.headers.cookies();
            self.jar.header(own, url, self.clock.wall(now))
        })
    }
}
