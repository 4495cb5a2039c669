//! Staying where the submission went.

use std::time::Duration;

use http::request;

use super::{hop::Hop, poll_policy::PollPolicy, refusal::Refusal};

/// Made by [`PollPolicyExt::same_origin`](super::PollPolicyExt::same_origin).
///
/// ```
/// use tower_poll::policy::{PollPolicyExt, RetryAfter, SameOrigin};
///
/// let policy: SameOrigin<RetryAfter> = RetryAfter::new().same_origin();
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct SameOrigin<P> {
    policy: P,
}

/// Made by [`PollPolicyExt::no_downgrade`](super::PollPolicyExt::no_downgrade).
///
/// ```
/// use tower_poll::policy::{NoDowngrade, PollPolicyExt, RetryAfter};
///
/// let policy: NoDowngrade<RetryAfter> = RetryAfter::new().no_downgrade();
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct NoDowngrade<P> {
    policy: P,
}

impl<P> SameOrigin<P> {
    pub(super) fn new(policy: P) -> Self {
        Self { policy }
    }
}

impl<P> NoDowngrade<P> {
    pub(super) fn new(policy: P) -> Self {
        Self { policy }
    }
}

impl<P: PollPolicy> PollPolicy for SameOrigin<P> {
    fn next(&mut self, hop: &Hop<'_>) -> Result<Duration, Refusal> {
        if hop.is_cross_origin() {
            return Err(left_origin());
        }
        self.policy.next(hop)
    }

    fn prepare_poll(&mut self, parts: &mut request::Parts, hop: &Hop<'_>) {
        self.policy.prepare_poll(parts, hop);
    }

    fn prepares_polls(&self) -> bool {
        self.policy.prepares_polls()
    }
}

impl<P: PollPolicy> PollPolicy for NoDowngrade<P> {
    fn next(&mut self, hop: &Hop<'_>) -> Result<Duration, Refusal> {
        if hop.is_downgrade() {
            return Err(downgraded());
        }
        self.policy.next(hop)
    }

    fn prepare_poll(&mut self, parts: &mut request::Parts, hop: &Hop<'_>) {
        self.policy.prepare_poll(parts, hop);
    }

    fn prepares_polls(&self) -> bool {
        self.policy.prepares_polls()
    }
}

pub(super) fn left_origin() -> Refusal {
    Refusal::cross_origin("the next poll would leave the origin of the submission")
}

pub(super) fn downgraded() -> Refusal {
    Refusal::cross_origin("the next poll would go from https to http")
}
