//! Refusals of hops, independent of the delay.

use std::time::Duration;

use http::request;

use super::{hop::Hop, poll_policy::PollPolicy, refusal::Refusal};

/// A policy for the hops that a check allows.
///
/// [`PollPolicyExt::same_origin`](crate::PollPolicyExt::same_origin),
/// [`no_downgrade`](crate::PollPolicyExt::no_downgrade) and
/// [`refuse_private_addresses`](crate::PollPolicyExt::refuse_private_addresses)
/// make it.
///
/// ```
/// use tower_poll::{PollPolicyExt, policy::{Guarded, ServerDelay}};
///
/// let policy: Guarded<ServerDelay> = ServerDelay::new().same_origin();
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Guarded<P> {
    policy: P,
    check: fn(&Hop<'_>) -> Result<(), Refusal>,
}

impl<P> Guarded<P> {
    pub(super) fn new(policy: P, check: fn(&Hop<'_>) -> Result<(), Refusal>) -> Self {
        Self { policy, check }
    }
}

impl<P: PollPolicy> PollPolicy for Guarded<P> {
    fn next(&mut self, hop: &Hop<'_>) -> Result<Duration, Refusal> {
        (self.check)(hop)?;
        self.policy.next(hop)
    }

    fn prepare_poll(&mut self, parts: &mut request::Parts, hop: &Hop<'_>) {
        self.policy.prepare_poll(parts, hop);
    }

    fn prepares_polls(&self) -> bool {
        self.policy.prepares_polls()
    }
}

/// Refuses hops to another origin than that of the submission.
pub(super) fn stay_on_origin(hop: &Hop<'_>) -> Result<(), Refusal> {
    match hop.is_cross_origin() {
        true => Err(Refusal::cross_origin(
            "the next poll would leave the origin of the submission",
        )),
        false => Ok(()),
    }
}

/// Refuses hops from https to http.
pub(super) fn stay_on_https(hop: &Hop<'_>) -> Result<(), Refusal> {
    match hop.is_downgrade() {
        true => Err(Refusal::cross_origin(
            "the next poll would go from https to http",
        )),
        false => Ok(()),
    }
}
