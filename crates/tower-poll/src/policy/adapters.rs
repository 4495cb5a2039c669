//! Adapters for delays, pairs of policies, and heads of polls.

use std::{fmt, ops::RangeInclusive, time::Duration};

use http::request;

use super::{hop::Hop, poll_policy::PollPolicy, refusal::Refusal};

/// The policy of [`PollPolicyExt::clamp`](crate::PollPolicyExt::clamp).
///
/// ```
/// use std::time::Duration;
/// use tower_poll::{PollPolicyExt, policy::{Clamp, ServerDelay}};
///
/// let policy: Clamp<ServerDelay> =
///     ServerDelay::new().clamp(Duration::from_secs(1)..=Duration::from_secs(5));
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Clamp<P> {
    policy: P,
    range: RangeInclusive<Duration>,
}

impl<P> Clamp<P> {
    pub(super) fn new(policy: P, range: RangeInclusive<Duration>) -> Self {
        Self { policy, range }
    }
}

impl<P: PollPolicy> PollPolicy for Clamp<P> {
    fn next(&mut self, hop: &Hop<'_>) -> Result<Duration, Refusal> {
        Ok(clamp(self.policy.next(hop)?, &self.range))
    }

    fn prepare_poll(&mut self, parts: &mut request::Parts, hop: &Hop<'_>) {
        self.policy.prepare_poll(parts, hop);
    }

    fn prepares_polls(&self) -> bool {
        self.policy.prepares_polls()
    }
}

/// Returns `delay` within `range`. The start of an empty range counts.
pub(super) fn clamp(delay: Duration, range: &RangeInclusive<Duration>) -> Duration {
    delay.min(*range.end()).max(*range.start())
}

/// The policy of [`PollPolicyExt::and`](crate::PollPolicyExt::and).
///
/// ```
/// use tower_poll::{PollPolicyExt, Refusal, StandardPolicy, policy::{policy_fn, And}};
///
/// let policy = StandardPolicy::new().and(policy_fn(|hop| match hop.to().port_u16() {
///     Some(port) if port < 1024 => Err(Refusal::new("the port is a system port")),
///     _ => Ok(std::time::Duration::ZERO),
/// }));
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct And<A, B> {
    first: A,
    second: B,
}

impl<A, B> And<A, B> {
    pub(super) fn new(first: A, second: B) -> Self {
        Self { first, second }
    }
}

impl<A: PollPolicy, B: PollPolicy> PollPolicy for And<A, B> {
    fn next(&mut self, hop: &Hop<'_>) -> Result<Duration, Refusal> {
        Ok(self.first.next(hop)?.max(self.second.next(hop)?))
    }

    fn prepare_poll(&mut self, parts: &mut request::Parts, hop: &Hop<'_>) {
        self.first.prepare_poll(parts, hop);
        self.second.prepare_poll(parts, hop);
    }

    fn prepares_polls(&self) -> bool {
        self.first.prepares_polls() || self.second.prepares_polls()
    }
}

/// The policy of [`PollPolicyExt::prepare`](crate::PollPolicyExt::prepare).
///
/// ```
/// use http::HeaderValue;
/// use tower_poll::{PollPolicyExt, StandardPolicy, policy::Prepare};
///
/// let policy = StandardPolicy::new().prepare(|parts, hop| {
///     if !hop.is_cross_origin() {
///         let number = HeaderValue::from(hop.poll());
///         parts.headers.insert("x-poll", number);
///     }
/// });
/// ```
#[derive(Clone)]
#[must_use]
pub struct Prepare<P, F> {
    policy: P,
    prepare: F,
}

impl<P, F> Prepare<P, F> {
    pub(super) fn new(policy: P, prepare: F) -> Self {
        Self { policy, prepare }
    }
}

impl<P, F> PollPolicy for Prepare<P, F>
where
    P: PollPolicy,
    F: FnMut(&mut request::Parts, &Hop<'_>),
{
    fn next(&mut self, hop: &Hop<'_>) -> Result<Duration, Refusal> {
        self.policy.next(hop)
    }

    fn prepare_poll(&mut self, parts: &mut request::Parts, hop: &Hop<'_>) {
        self.policy.prepare_poll(parts, hop);
        (self.prepare)(parts, hop);
    }
}

impl<P: fmt::Debug, F> fmt::Debug for Prepare<P, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prepare")
            .field("policy", &self.policy)
            .finish_non_exhaustive()
    }
}
