//! The adapters as methods.

use std::{ops::RangeInclusive, time::Duration};

use http::request;

use super::{
    adapters::{And, Clamp, Prepare},
    guard::{Guarded, stay_on_https, stay_on_origin},
    hop::Hop,
    jitter::{Jitter, Jittered},
    poll_policy::PollPolicy,
    private_addresses::stay_public,
};

/// Adapters for every [`PollPolicy`].
///
/// ```
/// use std::time::Duration;
/// use tower_poll::{PollPolicyExt, policy::ServerDelay};
///
/// let patient = ServerDelay::new().clamp(Duration::from_secs(5)..=Duration::from_secs(600));
/// ```
pub trait PollPolicyExt: PollPolicy + Sized {
    /// Keeps every delay within `range`.
    fn clamp(self, range: RangeInclusive<Duration>) -> Clamp<Self> {
        Clamp::new(self, range)
    }

    /// Makes every delay longer by a random part of it, whether or not the
    /// server [spreads the polls itself](Hop::is_spread_by_server).
    fn jitter(self, jitter: Jitter) -> Jittered<Self> {
        Jittered::new(self, jitter)
    }

    /// Refuses to leave the origin of the submission: scheme, host and port.
    fn same_origin(self) -> Guarded<Self> {
        Guarded::new(self, stay_on_origin)
    }

    /// Refuses to go from https to http.
    fn no_downgrade(self) -> Guarded<Self> {
        Guarded::new(self, stay_on_https)
    }

    /// Refuses to go from one origin to another whose host is internal.
    ///
    /// Internal are addresses that are not globally reachable (loopback,
    /// private, link-local with the cloud metadata service, shared,
    /// unique-local, multicast, reserved, and IPv6 forms of all these),
    /// numbers in other notations, and names that end in `localhost`, `local`
    /// or `internal`. A hop that stays on its origin is always allowed: the
    /// caller chose that address.
    ///
    /// The check sees names, and not the addresses that they resolve to. A
    /// public name can point to a private address. A client that must be safe
    /// from that also needs a connector that refuses such addresses.
    ///
    /// ```
    /// use http::{HeaderMap, StatusCode, Uri};
    /// use tower_poll::{Hop, PollPolicy, PollPolicyExt, policy::ServerDelay};
    ///
    /// let from = Uri::from_static("https://example.com/report");
    /// let to = Uri::from_static("http://169.254.169.254/latest/meta-data");
    /// let headers = HeaderMap::new();
    /// let hop = Hop::new(&from, &to, StatusCode::SEE_OTHER, &headers);
    /// let mut policy = ServerDelay::new().refuse_private_addresses();
    /// assert!(policy.next(&hop).is_err());
    /// ```
    fn refuse_private_addresses(self) -> Guarded<Self> {
        Guarded::new(self, stay_public)
    }

    /// Polls only if `other` would poll too, and waits for the longer of both
    /// delays.
    fn and<P: PollPolicy>(self, other: P) -> And<Self, P> {
        And::new(self, other)
    }

    /// Applies `prepare` to the head of each poll, after this policy.
    fn prepare<F>(self, prepare: F) -> Prepare<Self, F>
    where
        F: FnMut(&mut request::Parts, &Hop<'_>),
    {
        Prepare::new(self, prepare)
    }
}

impl<P: PollPolicy> PollPolicyExt for P {}
