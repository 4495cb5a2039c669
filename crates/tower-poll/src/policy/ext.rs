//! The adapters as methods.

use std::{ops::RangeInclusive, time::Duration};

use http::request;

use super::{
    adapters::{And, Clamp, Prepare},
    hop::Hop,
    jitter::{Jitter, Jittered},
    origin::{NoDowngrade, SameOrigin},
    poll_policy::PollPolicy,
    private_addresses::RefusePrivateAddresses,
};

/// Adapters for every [`PollPolicy`].
///
/// ```
/// use std::time::Duration;
/// use tower_poll::policy::{PollPolicyExt, RetryAfter};
///
/// let patient = RetryAfter::new().clamp(Duration::from_secs(5)..=Duration::from_secs(600));
/// ```
pub trait PollPolicyExt: PollPolicy + Sized {
    /// Keeps every delay within `range`.
    fn clamp(self, range: RangeInclusive<Duration>) -> Clamp<Self> {
        Clamp::new(self, range)
    }

    /// Makes every delay longer by a random part of it, whatever the server
    /// says.
    fn jitter(self, jitter: Jitter) -> Jittered<Self> {
        Jittered::new(self, jitter)
    }

    /// Refuses to leave the origin of the submission: scheme, host and port.
    fn same_origin(self) -> SameOrigin<Self> {
        SameOrigin::new(self)
    }

    /// Refuses to go from https to http.
    fn no_downgrade(self) -> NoDowngrade<Self> {
        NoDowngrade::new(self)
    }

    /// Refuses to go from one origin to another whose host is a private,
    /// link-local or otherwise internal address.
    fn refuse_private_addresses(self) -> RefusePrivateAddresses<Self> {
        RefusePrivateAddresses::new(self)
    }

    /// Polls only where `other` would poll too, and waits as long as the
    /// longer of both delays.
    fn and<P: PollPolicy>(self, other: P) -> And<Self, P> {
        And::new(self, other)
    }

    /// Lets `prepare` change the head of each poll, after this policy did.
    fn prepare<F>(self, prepare: F) -> Prepare<Self, F>
    where
        F: FnMut(&mut request::Parts, &Hop<'_>),
    {
        Prepare::new(self, prepare)
    }
}

impl<P: PollPolicy> PollPolicyExt for P {}
