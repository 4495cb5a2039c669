//! How long the jobs of a route take: a sketch of bounded size that follows change.

use std::{sync::Arc, time::Duration};

use hdrhistogram::Histogram;

use super::schedule::{Bin, Schedule};

/// How many durations there must be before anything is made of them.
pub(super) const ENOUGH: usize = 8;

/// How many durations a window takes. Those of the window before count as well, and then go.
const WINDOW: u64 = 512;

/// About how many bins a schedule is made for.
const BINS: u64 = 128;

/// The widest bin, from beginning to end, unless a single value is it.
const WIDEST: f64 = 1.0625;

/// A duration within what is known makes a schedule less stale than one beyond.
const SURPRISE: u64 = 16;

/// What is kept of a duration: milliseconds, up to twelve days.
pub(super) fn milliseconds(duration: Duration) -> u32 {
    let milliseconds = u32::try_from(duration.as_millis()).unwrap_or(u32::MAX);
    milliseconds.clamp(1, 1 << 30)
}

/// The last 512 to 1,024 durations within 1 %, in two histograms that take turns, and the schedule
/// that was made for them.
#[derive(Debug)]
pub(super) struct Durations {
    recent: Histogram<u16>,
    older: Histogram<u16>,
    /// What has been recorded since bins were last asked for.
    stale: u64,
    pub(super) schedule: Arc<Schedule>,
}

impl Default for Durations {
    fn default() -> Self {
        // Two significant digits, from 1 ms to as long as need be.
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

    /// The bins to make a new schedule for, if it is time for that.
    pub(super) fn bins_if_stale(&mut self) -> Option<Vec<Bin>> {
        let known = self.recent.len() + self.older.len();
        if known < ENOUGH as u64 || self.stale * 4 < known {
            return None;
        }
        self.stale = 0;
        Some(self.bins())
    }

    /// What is known in bins of about the same share each, no wider than need be.
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
            // Durations are cut to whole milliseconds.
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
