//! The promises about cancellations.

use std::time::Duration;

use http_polling::JobState;

use super::{Promise, Trace, Traces, Violation};
use crate::process::LEASE;

/// The time within which a run begins that was claimed before, on a machine that may be busy.
const LATE: Duration = LEASE.saturating_add(Duration::from_secs(1));

/// Checks that a job whose cancellation was acknowledged stays cancelled, and is not run any more.
pub(super) fn cancels(trace: &Trace<'_>, traces: &Traces<'_>) -> Vec<Violation> {
    let Some(accepted) = trace.cancel.accepted else {
        return Vec::new();
    };
    if traces.is_forgotten(trace) || traces.is_undone(accepted) {
        return Vec::new();
    }
    let later = trace
        .answers
        .iter()
        .filter(|(_, answer)| answer.asked >= accepted);
    let others = later.filter_map(|(at, answer)| Some((at, answer.state?)));
    let others = others.filter(|(_, state)| *state != JobState::Cancelled);
    let others = others.map(|(at, state)| format!("{state} at {at:?}"));
    let runs = trace.runs.iter().filter(|(at, _)| *at > accepted + LATE);
    let runs = runs.map(|(at, run)| format!("a run begins in process {} at {at:?}", run.process));
    others
        .chain(runs)
        .map(|text| {
            let text = format!("cancelled at {accepted:?}, and {text}");
            Violation::new(Promise::Cancelled, text)
        })
        .collect()
}
