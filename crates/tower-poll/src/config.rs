//! The settings of a layer, shared by every service and call made from it.

use std::{fmt, future::Future, pin::Pin, sync::Arc, time::Duration};

use http::{HeaderName, HeaderValue, Uri};
use http_polling::RequestHead;
use tower::BoxError;

use crate::{budget::RetryBudget, dialect::Dialect, progress::PollUpdate};

/// A predicate over submissions.
type Predicate = dyn Fn(RequestHead<'_>) -> bool + Send + Sync;

/// The observer of every pending answer.
type Observer = dyn Fn(&PollUpdate) + Send + Sync;

/// A source of new `Authorization` values for a URL.
type Refresh = dyn Fn(&Uri) -> Refreshing + Send + Sync;

pub(crate) type Refreshing = Pin<Box<dyn Future<Output = Result<HeaderValue, BoxError>> + Send>>;

/// The layer's settings and the policy that each call starts from.
#[derive(Debug)]
pub(crate) struct Shared<P> {
    pub(crate) config: Config,
    pub(crate) policy: P,
    /// The value of [`Config::adds_headers`].
    pub(crate) adds_headers: bool,
    /// The limit to repeats of failed polls, for all calls together.
    pub(crate) budget: RetryBudget,
}

#[derive(Clone)]
pub(crate) struct Config {
    pub(crate) deadline: Duration,
    pub(crate) max_polls: u32,
    pub(crate) drain_limit: usize,
    pub(crate) cookies: bool,
    pub(crate) attach_job: bool,
    pub(crate) keep: Vec<HeaderName>,
    pub(crate) prefer_async: Option<Arc<Predicate>>,
    pub(crate) base_origin: Option<Uri>,
    pub(crate) dialects: Vec<Arc<dyn Dialect>>,
    pub(crate) observer: Option<Arc<Observer>>,
    pub(crate) poll_retries: u32,
    pub(crate) refresh: Option<Arc<Refresh>>,
    pub(crate) idempotency_keys: bool,
    pub(crate) prefer_wait: Option<Duration>,
    pub(crate) long_poll: Option<Duration>,
    pub(crate) not_found_grace: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            deadline: Duration::from_secs(60 * 60),
            max_polls: 1000,
            drain_limit: 64 * 1024,
            cookies: true,
            attach_job: false,
            keep: Vec::new(),
            prefer_async: None,
            base_origin: None,
            dialects: Vec::new(),
            observer: None,
            poll_retries: 5,
            refresh: None,
            idempotency_keys: false,
            prefer_wait: None,
            long_poll: None,
            not_found_grace: Duration::from_secs(3),
        }
    }
}

impl Config {
    /// Returns whether submissions may be sent with more headers than they
    /// came with.
    pub(crate) fn adds_headers(&self) -> bool {
        self.prefer_async.is_some() || self.prefer_wait.is_some() || self.idempotency_keys
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("deadline", &self.deadline)
            .field("max_polls", &self.max_polls)
            .field("drain_limit", &self.drain_limit)
            .field("cookies", &self.cookies)
            .field("attach_job", &self.attach_job)
            .field("keep", &self.keep)
            .field("prefer_async", &self.prefer_async.is_some())
            .field("base_origin", &self.base_origin)
            .field("dialects", &self.dialects)
            .field("observer", &self.observer.is_some())
            .field("poll_retries", &self.poll_retries)
            .field("refresh", &self.refresh.is_some())
            .field("idempotency_keys", &self.idempotency_keys)
            .field("prefer_wait", &self.prefer_wait)
            .field("long_poll", &self.long_poll)
            .field("not_found_grace", &self.not_found_grace)
            .finish()
    }
}
