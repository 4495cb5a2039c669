//! Times that are added up over all rounds.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};

/// Times in milliseconds, with their numbers.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Times(BTreeMap<u64, u64>);

impl Times {
    pub(crate) fn add_one(&mut self, time: Duration) {
        let millis = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        *self.0.entry(millis).or_default() += 1;
    }

    pub(crate) fn add(&mut self, other: &Self) {
        add_counts(&mut self.0, &other.0);
    }

    pub(crate) fn count(&self) -> u64 {
        self.0.values().sum()
    }

    /// Returns the time that this share of all does not exceed, as text.
    pub(crate) fn at_most(&self, share: f64) -> String {
        let rank = (self.count() as f64 * share).ceil() as u64;
        let mut seen = 0;
        let mut times = self.0.iter();
        let found = times.find(|(_, number)| {
            seen += **number;
            seen >= rank
        });
        match found {
            Some((millis, _)) => format!("{:.3} s", *millis as f64 / 1000.0),
            None => "none".to_owned(),
        }
    }
}

/// Adds counts by key.
pub(crate) fn add_counts<K: Ord + Copy>(sums: &mut BTreeMap<K, u64>, counts: &BTreeMap<K, u64>) {
    for (key, count) in counts {
        *sums.entry(*key).or_default() += count;
    }
}
