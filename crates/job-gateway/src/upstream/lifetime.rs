//! The times between which a connection takes requests.

use std::time::Duration;

use http::{HeaderMap, HeaderName};
use tokio::time::Instant;

use crate::config::Upstream;

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");

/// The time for which a connection may have been idle before a request whose method is not safe.
const UNSAFE_IDLE: Duration = Duration::from_secs(1);

/// The time between the end of a connection here, and its end according to the server.
const KEEP_ALIVE_MARGIN: Duration = Duration::from_secs(1);

/// The times between which a connection takes requests.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lifetime {
    /// The time from which it takes none.
    retires: Instant,
    /// The time for which it may be idle.
    idle: Duration,
}

impl Lifetime {
    /// Returns those of a connection that is made now.
    pub(super) fn new(upstream: &Upstream) -> Self {
        Self {
            retires: Instant::now() + upstream.max_age,
            idle: upstream.idle_timeout,
        }
    }

    /// Reads `Keep-Alive` of a response (RFC 2068, section 19.7.1): the server's time, which may
    /// shorten that of the settings.
    pub(super) fn read(&mut self, headers: &HeaderMap) {
        for value in headers.get_all(KEEP_ALIVE) {
            let Ok(value) = value.to_str() else { continue };
            let timeouts = value.split(',').filter_map(|parameter| {
                let (name, value) = parameter.split_once('=')?;
                let is_timeout = name.trim().eq_ignore_ascii_case("timeout");
                let seconds = value.trim().trim_matches('"').parse().ok()?;
                is_timeout.then(|| Duration::from_secs(seconds))
            });
            for timeout in timeouts {
                self.idle = self.idle.min(timeout.saturating_sub(KEEP_ALIVE_MARGIN));
            }
        }
    }

    /// Returns the time at which a connection that has been idle since then is closed.
    pub(super) fn end(&self, since: Instant) -> Instant {
        self.retires.min(since + self.idle)
    }

    /// Returns whether a connection takes no further request.
    pub(super) fn is_over(&self, now: Instant) -> bool {
        now >= self.retires
    }
}

/// Returns whether a connection may take a request after it has been idle for that time.
pub(super) fn suits(is_safe: bool, idle: Duration) -> bool {
    is_safe || idle <= UNSAFE_IDLE
}
