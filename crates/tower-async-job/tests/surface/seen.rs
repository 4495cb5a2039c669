//! The recorded metrics, as tests see them.

use std::collections::BTreeMap;

use metrics::LocalRecorderGuard;
use metrics_util::debugging::{DebugValue, DebuggingRecorder, Snapshotter};

/// The values of metrics, by name and labels.
pub(crate) type Values = BTreeMap<String, Vec<f64>>;

/// The metrics that this thread records.
pub(crate) struct Seen {
    snapshotter: Snapshotter,
    gauges: BTreeMap<String, f64>,
    _installed: LocalRecorderGuard<'static>,
}

impl Seen {
    pub(crate) fn install() -> Self {
        let recorder = Box::leak(Box::new(DebuggingRecorder::new()));
        Self {
            snapshotter: recorder.snapshotter(),
            gauges: BTreeMap::new(),
            _installed: metrics::set_default_local_recorder(recorder),
        }
    }

    /// Returns the changes of counters and histograms since the last call, by name and labels, and
    /// the current gauges.
    pub(crate) fn since(&mut self) -> Values {
        let mut values = BTreeMap::new();
        for (key, _, _, value) in self.snapshotter.snapshot().into_vec() {
            let key = key.key();
            let labels = key
                .labels()
                .map(|label| format!(" {}={}", label.key(), label.value()));
            let name = key.name().to_owned() + &labels.collect::<String>();
            let value = match value {
                DebugValue::Counter(0) => continue,
                DebugValue::Counter(count) => vec![count as f64],
                // Those of the store are set, and the others go up and down.
                DebugValue::Gauge(level) if name.starts_with("async_job_store_") => vec![level.0],
                DebugValue::Gauge(level) => {
                    // A snapshot resets everything, including gauges.
                    let total = self.gauges.entry(name.clone()).or_default();
                    *total += level.0;
                    vec![*total]
                }
                DebugValue::Histogram(values) if values.is_empty() => continue,
                DebugValue::Histogram(values) => values.into_iter().map(|value| value.0).collect(),
            };
            values.insert(name, value);
        }
        values
    }
}

#[track_caller]
pub(crate) fn assert_seen(values: &Values, name: &str, expected: &[f64]) {
    let seen = values.get(name).map_or(&[][..], |values| values);
    assert_eq!(seen, expected, "{name} in {values:#?}");
}
