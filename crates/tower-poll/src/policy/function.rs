//! Policies of closures.

use std::{fmt, time::Duration};

use super::{hop::Hop, poll_policy::PollPolicy, refusal::Refusal};

/// Makes a [`PollPolicy`] that takes every delay from `policy`.
///
/// ```
/// use std::time::Duration;
/// use tower_poll::policy::policy_fn;
/// use tower_poll::PollLayer;
///
/// // Ever more slowly, whatever the server says.
/// let layer = PollLayer::with_policy(policy_fn(|hop| {
///     Ok(Duration::from_millis(100) * hop.poll())
/// }));
/// ```
pub fn policy_fn<F>(policy: F) -> PolicyFn<F>
where
    F: FnMut(&Hop<'_>) -> Result<Duration, Refusal>,
{
    PolicyFn { policy }
}

/// The policy of [`policy_fn`].
///
/// ```
/// use tower_poll::{Refusal, policy::policy_fn};
///
/// let never = policy_fn(|_| Err(Refusal::new("polling is switched off")));
/// ```
#[derive(Clone, Copy)]
#[must_use]
pub struct PolicyFn<F> {
    policy: F,
}

impl<F> PollPolicy for PolicyFn<F>
where
    F: FnMut(&Hop<'_>) -> Result<Duration, Refusal>,
{
    fn next(&mut self, hop: &Hop<'_>) -> Result<Duration, Refusal> {
        (self.policy)(hop)
    }

    fn prepares_polls(&self) -> bool {
        false
    }
}

impl<F> fmt::Debug for PolicyFn<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PolicyFn").finish_non_exhaustive()
    }
}
