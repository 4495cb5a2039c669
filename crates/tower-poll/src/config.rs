//! What a layer was told, shared by every service and call made from it.

use std::{fmt, sync::Arc, time::Duration};

use http::{HeaderName, Uri};
use http_polling::RequestHead;

use crate::kept::may_be_kept;

/// A predicate over submissions.
type Predicate = dyn Fn(RequestHead<'_>) -> bool + Send + Sync;

/// The layer's settings and the policy that each call starts from.
#[derive(Debug)]
pub(crate) struct Shared<P> {
    pub(crate) config: Config,
    pub(crate) policy: P,
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
        }
    }
}

impl Config {
    pub(crate) fn keep(&mut self, name: HeaderName) {
        if may_be_kept(&name) && !self.keep.contains(&name) {
            self.keep.push(name);
        }
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
            .finish()
    }
}
