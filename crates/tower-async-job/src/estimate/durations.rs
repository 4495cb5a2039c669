//! The durations of a route's jobs: a sketch of bounded size that follows change.

use std::{sync::Arc, time::Duration};

use hdrhistogram::Histogram;

use super::schedule::{Bin, Schedule};

/// The number of durations that are needed for a schedule.
pub(super) const ENOUGH: usize = 8;

/// The number of durations in a window. Those of the previous window count as well.
const WINDOW: u64 = 512;

/// The approximate number of bins of a schedule.
const BINS: u64 = 128;

/// The largest ratio of a bin's end to its beginning, except for bins of a single value.
const WIDEST: f64 = 1.0625;

/// The weight of a duration outside the known range in the staleness of a schedule; one within
/// weighs 1.
const SURPRISE: u64 = 16;

/// Converts a duration to milliseconds, up to twelve days.
pub(super) fn milliseconds(duration: Duration) -> u32 {
    let milliseconds = u32::try_from(duration.as_millis()).unwrap_or(u32::MAX);
    milliseconds.clamp(1, 1 << 30)
}

/// The last 512 to 1,024 durations within 1 %, in two alternating histograms, and the schedule made
/// from them.
#[derive(Debug)]
pub(super) struct Durations {
    recent: Histogram<u16>,
    older: Histogram<u16>,
    /// The weight recorded since bins were last requested.
    stale: u64,
    pub(super) schedule: Arc<Schedule>,
}

impl Default for Durations {
    fn default() -> Self {
        // Two significant digits, from 1 ms without an upper limit.
        let empty = || Histogram::new(2).expect("two digits are within the limits");
        Self {
            recent: empty(),
            older: empty(),
            stale: 0,
            schedule: Arc::default(),
        }
    }
}

impl Durations {
    pub(super) fn record(&mut self, milliseconds: u32) {
        if self.recent.len() >= WINDOW {
            std::mem::swap(&mut self.recent, &mut self.older);
            self.recent.reset();
        }
        let value = u64::from(milliseconds);
        // The values are bounded, so the histogram can grow to hold them.
        let _ = self.recent.record(value);
        let known = self.schedule.next_after(value as f64 / 1e3).is_some();
        self.stale += if known { 1 } else { SURPRISE };
    }

    /// Returns the bins for a new schedule, if the present one is stale.
    pub(super) fn bins_if_stale(&mut self) -> Option<Vec<Bin>> {
        let known = self.recent.len() + self.older.len();
        if known < ENOUGH as u64 || self.stale * 4 < known {
            return None;
        }
        self.stale = 0;
        Some(self.bins())
    }

    /// Returns bins of about the same share each, none wider than necessary.
    fn bins(&self) -> Vec<Bin> {
        let mut all = self.older.clone();
        all.add(&self.recent)
            .expect("a histogram that resizes holds what another holds");
        let total = all.len();
        let mut bins = Vec::with_capacity(BINS as usize);
        let (mut begin, mut end, mut count, mut sum) = (0.0, 0.0, 0, 0.0);
        let mut close = |end: f64, count: &mut u64, sum: &mut f64| {
            if *count > 0 {
                bins.push(Bin {
                    end,
                    mean: *sum / *count as f64,
                    share: *count as f64 / total as f64,
                });
            }
            (*count, *sum) = (0, 0.0);
        };
        for part in all.iter_recorded() {
            let value = part.value_iterated_to();
            let recorded = u64::from(part.count_at_value());
            let middle = all.median_equivalent(value) as f64 / 1e3;
            // Durations are truncated to milliseconds.
            let part_end = (value + 1) as f64 / 1e3;
            if (count + recorded) * BINS > total || part_end > begin * WIDEST {
                close(end, &mut count, &mut sum);
            }
            if count == 0 {
                begin = middle;
            }
            end = part_end;
            count += recorded;
            sum += recorded as f64 * middle;
        }
        close(end, &mut count, &mut sum);
        bins
    }
}
