//! Cases under Criterion.

use std::time::{Duration, Instant};

use benches::Entry;
use criterion::Criterion;

/// The maximum number of iterations between two resets, since cases may leave state behind.
const CHUNK: u64 = 1_000;

/// Configures short runs, since there are many cases and only their ratios matter.
pub(crate) fn short() -> Criterion {
    Criterion::default()
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
        .sample_size(40)
}

/// Measures the times of the cases.
pub(crate) fn cases(criterion: &mut Criterion, entries: impl IntoIterator<Item = Entry>) {
    for entry in entries {
        let mut case = (entry.make)();
        criterion.bench_function(entry.name, |bencher| {
            bencher.iter_custom(|iterations| {
                let mut spent = Duration::ZERO;
                let mut left = iterations;
                while left > 0 {
                    let chunk = left.min(CHUNK);
                    let begun = Instant::now();
                    case.run(chunk);
                    spent += begun.elapsed();
                    case.reset();
                    left -= chunk;
                }
                spent
            });
        });
    }
}
