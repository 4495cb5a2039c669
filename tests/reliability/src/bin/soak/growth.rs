//! Samples of a process, and their growth.

use std::fmt;

/// A sample of the gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sample {
    /// The resident memory in KiB.
    pub(crate) memory: u64,
    pub(crate) descriptors: u64,
    pub(crate) tasks: u64,
}

impl Sample {
    /// Returns whether no descriptor and no task is left since an earlier sample.
    pub(crate) fn is_at_rest(&self, before: &Self) -> bool {
        self.descriptors <= before.descriptors && self.tasks <= before.tasks
    }
}

impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            memory,
            descriptors,
            tasks,
        } = self;
        let memory = *memory as f64 / 1024.0;
        write!(
            f,
            "{memory:.1} MiB, {descriptors} descriptors, {tasks} tasks"
        )
    }
}

/// The medians of the samples in the first and in the last third of the time after the warm-up.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Growth {
    first: Sample,
    last: Sample,
}

/// Returns the growth after a warm-up, which is a share of the samples.
pub(crate) fn growth(samples: &[Sample], warm_up: f64) -> Growth {
    let from = (samples.len() as f64 * warm_up) as usize;
    let warm = &samples[from..];
    let third = warm.len().div_ceil(3);
    Growth {
        first: median(&warm[..third]),
        last: median(&warm[warm.len() - third..]),
    }
}

fn median(samples: &[Sample]) -> Sample {
    let of = |figure: fn(&Sample) -> u64| {
        let mut figures: Vec<_> = samples.iter().map(figure).collect();
        figures.sort_unstable();
        figures.get(figures.len() / 2).copied().unwrap_or_default()
    };
    Sample {
        memory: of(|sample| sample.memory),
        descriptors: of(|sample| sample.descriptors),
        tasks: of(|sample| sample.tasks),
    }
}

/// The memory in KiB of the jobs that have ended: the store remembers up to 100,000 of them for an hour,
/// at 256 bytes each.
const REMEMBERED: u64 = 100_000 * 256 / 1024;

impl Growth {
    /// Returns whether the last figures exceed the first by more than they vary, and by more than the
    /// memory of the jobs that have ended.
    pub(crate) fn is_growing(&self) -> bool {
        let exceeds = |last: u64, first: u64, margin: u64| last > first + first / 10 + margin;
        exceeds(self.last.memory, self.first.memory, 2048 + REMEMBERED)
            || exceeds(self.last.descriptors, self.first.descriptors, 16)
            || exceeds(self.last.tasks, self.first.tasks, 16)
    }
}

impl fmt::Display for Growth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "after the warm-up: {}; at the end: {}",
            self.first, self.last
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(figure: impl Fn(u64) -> Sample) -> Vec<Sample> {
        (0..100).map(figure).collect()
    }

    const STEADY: Sample = Sample {
        memory: 20_000,
        descriptors: 100,
        tasks: 200,
    };

    #[test]
    fn a_warm_up_is_no_growth() {
        let warming = |at: u64| Sample {
            memory: 60_000 * at.min(30) / 30,
            ..STEADY
        };
        assert!(!growth(&samples(warming), 0.3).is_growing());
    }

    #[test]
    fn each_figure_that_rises_is_growth() {
        let rising: [fn(u64) -> Sample; 3] = [
            |at| Sample {
                memory: 20_000 + 800 * at,
                ..STEADY
            },
            |at| Sample {
                descriptors: 100 + at,
                ..STEADY
            },
            |at| Sample {
                tasks: 200 + 2 * at,
                ..STEADY
            },
        ];
        for rising in rising {
            assert!(growth(&samples(rising), 0.3).is_growing());
        }
    }

    #[test]
    fn a_descriptor_or_a_task_that_is_left_is_no_rest() {
        let (mut descriptor, mut task) = (STEADY, STEADY);
        descriptor.descriptors += 1;
        task.tasks += 1;
        assert!(STEADY.is_at_rest(&STEADY));
        assert!(!descriptor.is_at_rest(&STEADY));
        assert!(!task.is_at_rest(&STEADY));
    }
}
