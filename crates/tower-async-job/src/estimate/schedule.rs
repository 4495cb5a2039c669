//! Schedules of polls for work whose durations are known, which trade polls for delay.

/// The precision of a poll's price.
const PRECISION: f64 = 1.004;

/// A part of the work: this share of it takes up to `end` seconds, and on average `mean`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Bin {
    pub(super) end: f64,
    pub(super) mean: f64,
    pub(super) share: f64,
}

/// The polls to make, in seconds since the start of the work.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Schedule {
    /// One for each bin, in order.
    stops: Box<[Stop]>,
    median: f64,
}

/// A stop for work that has not reached `until`, which is polled at `next`.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Stop {
    until: f32,
    next: f32,
}

impl Schedule {
    /// Returns the cheapest schedule with about `polls` polls per piece of work, or fewer if more
    /// would not help.
    ///
    /// `bins` are in order; their shares sum up to 1.
    pub(super) fn with_polls(bins: &[Bin], polls: f64) -> Self {
        let Some(last) = bins.last() else {
            return Self::default();
        };
        let mut planner = Planner::new(bins);
        // The price of a poll in seconds of delay: a higher one makes fewer polls. At the highest,
        // one poll at the end is cheaper than an earlier one, which at least the last bin outlasts.
        let (mut cheap, mut dear) = (last.end * 1e-6, last.end / last.share);
        while dear > cheap * PRECISION {
            let price = (cheap * dear).sqrt();
            if planner.plan(price) > polls {
                cheap = price;
            } else {
                dear = price;
            }
        }
        planner.plan(dear);
        let stops = bins.iter().zip(&planner.next).map(|(bin, &next)| Stop {
            until: bin.end as f32,
            next: bins[next].end as f32,
        });
        let half = planner.shares.partition_point(|share| *share < 0.5);
        Self {
            stops: stops.collect(),
            median: bins[half.clamp(1, bins.len()) - 1].end,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.stops.is_empty()
    }

    /// Returns the time by which half of the work is done.
    pub(super) fn median(&self) -> f64 {
        self.median
    }

    /// Returns the next poll for work that has taken `elapsed`; `None` if that exceeds all known
    /// durations.
    pub(super) fn next_after(&self, elapsed: f64) -> Option<f64> {
        let past = self
            .stops
            .partition_point(|stop| f64::from(stop.until) <= elapsed);
        Some(f64::from(self.stops.get(past)?.next))
    }
}

/// A solver that finds cheapest schedules by dynamic programming, from their ends.
///
/// A poll at the end of a bin costs its price if the work still runs at the previous poll, and each
/// piece of work that ends between two polls costs the time until the second. With `shares` and
/// `durations` summed over earlier bins, the costs after a poll at the end of bin `i - 1` are
///
/// ```text
/// cost[i] = price × (1 − shares[i]) + durations[i] + min over j > i of offset[j] − end[j] × shares[i]
/// offset[j] = end[j] × shares[j] − durations[j] + cost[j]          (end[j]: of bin j − 1)
/// ```
///
/// The candidates are lines in `shares[i]` in the order of their slopes, and are evaluated in
/// order, so their lower hull gives every minimum in linear time.
struct Planner<'a> {
    bins: &'a [Bin],
    shares: Vec<f64>,
    durations: Vec<f64>,
    /// The bin at whose end to poll next, by the number of bins that are over.
    next: Vec<usize>,
    /// The number of polls after those bins, per piece of work.
    polls: Vec<f64>,
    hull: Vec<Line>,
}

#[derive(Clone, Copy)]
struct Line {
    offset: f64,
    end: f64,
    /// The number of bins that are over at `end`.
    over: usize,
}

impl Line {
    fn at(&self, share: f64) -> f64 {
        self.offset - self.end * share
    }
}

impl<'a> Planner<'a> {
    fn new(bins: &'a [Bin]) -> Self {
        let sums = |part: fn(&Bin) -> f64| {
            let mut sum = 0.0;
            let sums = bins.iter().map(|bin| {
                sum += part(bin);
                sum
            });
            std::iter::once(0.0).chain(sums).collect::<Vec<f64>>()
        };
        Self {
            bins,
            shares: sums(|bin| bin.share),
            durations: sums(|bin| bin.share * bin.mean),
            next: vec![0; bins.len()],
            polls: vec![0.0; bins.len() + 1],
            hull: Vec::with_capacity(bins.len()),
        }
    }

    /// Plans at a price per poll; returns the number of polls per piece of work.
    fn plan(&mut self, price: f64) -> f64 {
        self.hull.clear();
        // Earlier lines are no longer the lowest.
        let mut lowest = 0;
        let mut cost = 0.0;
        for over in (0..self.bins.len()).rev() {
            let end = self.bins[over].end;
            let line = Line {
                offset: end * self.shares[over + 1] - self.durations[over + 1] + cost,
                end,
                over: over + 1,
            };
            while let [.., before, last] = self.hull[lowest..]
                && hides(before, last, &line)
            {
                self.hull.pop();
            }
            self.hull.push(line);
            let share = self.shares[over];
            while let [first, second, ..] = &self.hull[lowest..]
                && second.at(share) <= first.at(share)
            {
                lowest += 1;
            }
            let best = self.hull[lowest];
            let running = 1.0 - share;
            cost = price * running + self.durations[over] + best.at(share);
            self.polls[over] = running + self.polls[best.over];
            self.next[over] = best.over - 1;
        }
        self.polls[0]
    }
}

/// Returns whether `middle` is nowhere below both others. The slopes fall from the first to the
/// last.
fn hides(first: Line, middle: Line, last: &Line) -> bool {
    (middle.offset - last.offset) * (first.end - middle.end)
        >= (first.offset - middle.offset) * (middle.end - last.end)
}

#[cfg(test)]
mod tests;
