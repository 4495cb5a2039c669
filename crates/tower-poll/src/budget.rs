//! A limit to repetitions.

use std::{sync::Arc, time::Duration};

use tower::retry::budget::{Budget, TpsBudget};

/// The time for which good requests count.
const WINDOW: Duration = Duration::from_secs(10);

/// A budget of repetitions within each 10 s: a share of the successful
/// requests, plus a number per second. Clones share it.
///
/// The default is one repetition for every five requests, and 10 per second.
///
/// ```
/// use tower_poll::{Resubmit, RetryBudget};
///
/// // One repetition for every ten requests.
/// let budget = RetryBudget::new(0.1, 0);
/// let reports = Resubmit::new().budget(budget.clone());
/// let orders = Resubmit::new().budget(budget);
/// ```
#[derive(Clone, Debug, Default)]
pub struct RetryBudget(Arc<TpsBudget>);

impl RetryBudget {
    /// Allows a `share` of the good requests, from 0 to 1,000, and
    /// `per_second`, up to a million. Other values are taken to the nearest of
    /// these, and NaN to 0.
    #[must_use]
    pub fn new(share: f32, per_second: u32) -> Self {
        let share = if share.is_nan() { 0.0 } else { share };
        let share = share.clamp(0.0, 1000.0);
        let per_second = per_second.min(1_000_000);
        Self(Arc::new(TpsBudget::new(WINDOW, per_second, share)))
    }

    /// Counts a request that needs no repetition.
    pub(crate) fn deposit(&self) {
        self.0.deposit();
    }

    /// Counts a repetition. Returns whether it is within the budget.
    pub(crate) fn withdraw(&self) -> bool {
        self.0.withdraw()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clones_count_together() {
        let budget = RetryBudget::new(0.5, 0);
        budget.deposit();
        budget.clone().deposit();
        assert!(budget.clone().withdraw());
        assert!(!budget.withdraw());
    }

    #[test]
    fn values_out_of_bounds_are_taken_to_the_nearest() {
        for share in [f32::NAN, -1.0, f32::INFINITY] {
            let budget = RetryBudget::new(share, u32::MAX);
            assert!(budget.withdraw(), "{share}");
        }
        assert!(!RetryBudget::new(f32::NAN, 0).withdraw());
    }
}
