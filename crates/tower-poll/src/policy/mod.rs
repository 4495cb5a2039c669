//! How long to wait before a poll, and whether to make it at all.
//!
//! A [`PollPolicy`] is asked once per pending answer. It sees the answer's
//! head and both URLs as a [`Hop`], and either names a delay or refuses with
//! a [`Refusal`]. Once a poll is due, it may still put headers and extensions
//! on it.
//!
//! [`StandardPolicy`] is what a layer uses unless told otherwise. A policy of
//! one's own is best put together from the pieces of [`PollPolicyExt`], read
//! from left to right: each adapter judges what the one before it said.
//!
//! ```
//! use std::time::Duration;
//! use tower_poll::policy::{Jitter, PollPolicyExt, RetryAfter};
//! use tower_poll::PollLayer;
//!
//! let policy = RetryAfter::new()
//!     .clamp(Duration::from_millis(200)..=Duration::from_secs(10))
//!     .jitter(Jitter::default())
//!     .same_origin()
//!     .refuse_private_addresses();
//! let layer = PollLayer::with_policy(policy);
//! ```
//!
//! Whatever the policy says, the layer's own limits hold: the deadline, the
//! number of polls, and that credentials go to the submission's origin only.

mod adapters;
mod function;
mod hop;
mod jitter;
mod origin;
mod private_addresses;
mod refusal;
mod retry_after;
mod standard;

use std::{ops::RangeInclusive, time::Duration};

use http::request;

pub use self::{
    adapters::{And, Clamp, Prepare},
    function::{PolicyFn, policy_fn},
    hop::Hop,
    jitter::{Jitter, Jittered},
    origin::{NoDowngrade, SameOrigin},
    private_addresses::RefusePrivateAddresses,
    refusal::Refusal,
    retry_after::RetryAfter,
    standard::StandardPolicy,
};

/// Decides on the polls of one call.
///
/// The layer holds one value as a template and clones it at the first pending
/// answer of each call, so that `&mut self` is the state of that call alone.
///
/// ```
/// use std::time::Duration;
/// use tower_poll::{Hop, PollPolicy, Refusal};
///
/// /// Ten polls, a second apart.
/// #[derive(Clone)]
/// struct TenSeconds;
///
/// impl PollPolicy for TenSeconds {
///     fn next(&mut self, hop: &Hop<'_>) -> Result<Duration, Refusal> {
///         if hop.poll() > 10 {
///             return Err(Refusal::new("ten polls are enough"));
///         }
///         Ok(Duration::from_secs(1))
///     }
/// }
/// ```
pub trait PollPolicy {
    /// How long to wait before the poll that `hop` tells of, counted from the
    /// pending answer. Called once per pending answer.
    ///
    /// A delay of zero polls at once, without a timer.
    ///
    /// # Errors
    ///
    /// A [`Refusal`] ends the call: no request is made, and the caller gets
    /// an [`Error`](crate::Error) that has the refusal as its source.
    fn next(&mut self, hop: &Hop<'_>) -> Result<Duration, Refusal>;

    /// May add headers and extensions to a poll that is about to be sent, for
    /// the layers beneath. Called once per poll, after the wait. Does nothing
    /// by default.
    ///
    /// What it adds is sent as it is, to whatever origin `hop` leads to.
    fn prepare_poll(&mut self, parts: &mut request::Parts, hop: &Hop<'_>) {
        let _ = (parts, hop);
    }

    /// Whether [`prepare_poll`](Self::prepare_poll) is to be called. True by
    /// default; a policy that leaves polls alone may say no, which saves the
    /// layer some copies.
    fn prepares_polls(&self) -> bool {
        true
    }
}

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

#[cfg(test)]
mod tests;
