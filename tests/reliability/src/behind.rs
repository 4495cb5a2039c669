//! The promises of gateways to the server behind them, checked against the history of a round.

#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeSet, HashMap},
    time::Duration,
};

use crate::{
    calls::Call,
    check::{Promise, Trace, Traces, Violation},
    history::Event,
};

/// Returns the promises that were broken in a round of this seed with these calls.
pub(crate) fn check(
    events: &[(Duration, Event)],
    calls: &HashMap<u64, Call>,
    seed: u64,
) -> Vec<Violation> {
    let traces = Traces::of(events, false);
    let mut violations = Vec::new();
    for (number, trace) in &traces.by_call {
        let Some(call) = calls.get(number) else {
            continue;
        };
        let broken = key(trace, call, seed).into_iter().chain(attempts(trace));
        violations.extend(broken.map(|(promise, text)| {
            let text = format!("call {number} ({:?}): {text}", call.work);
            Violation::new(promise, text)
        }));
    }
    violations
}

/// Checks that all attempts have the client's key; without one, those at what can be sent again have
/// the handle as their key.
fn key(trace: &Trace<'_>, call: &Call, seed: u64) -> Option<(Promise, String)> {
    let received = trace.runs.iter().map(|(_, run)| {
        let key = run
            .received
            .as_ref()
            .and_then(|received| received.key.clone());
        (run, key)
    });
    let expected = |handle: &str| match call.work.is_replayable() {
        true => Some(format!("\"{handle}\"")),
        false => None,
    };
    let wrong: BTreeSet<_> = received
        .filter(|(run, key)| *key != call.key(seed).or_else(|| expected(&run.handle)))
        .map(|(_, key)| key)
        .collect();
    (!wrong.is_empty()).then(|| (Promise::OneKey, format!("it was sent with {wrong:?}")))
}

/// Checks that each attempt has a higher number than the ones before.
fn attempts(trace: &Trace<'_>) -> Option<(Promise, String)> {
    let numbers: Vec<_> = trace.runs.iter().map(|(_, run)| run.attempt).collect();
    let is_rising = numbers.windows(2).all(|two| two[0] < two[1]);
    (!is_rising).then(|| (Promise::RisingAttempts, format!("attempts {numbers:?}")))
}
