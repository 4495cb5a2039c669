//! The promises, checked against the history of a round.

mod cancels;
mod notices;
#[cfg(test)]
mod tests;
mod traces;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    fmt,
    time::Duration,
};

use http_polling::JobState;
use serde::{Deserialize, Serialize};

pub(crate) use self::traces::{Trace, Traces};
use crate::{
    calls::{Call, Work},
    history::{Answer, Event, ProcessId, Run},
};

/// A promise that can be broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Promise {
    /// A job has one visible result.
    OneResult,
    /// A result is that of a run, and whole.
    WholeResult,
    /// An accepted job is never unknown.
    Known,
    /// A job is lost only if it is not replayable, and its process died or was stopped.
    LostOnlyWithItsProcess,
    /// A job begins no more runs than its maximum.
    BoundedRuns,
    /// A job fails only once its attempts are used up.
    FailedOnlyWhenUsedUp,
    /// A job that is not replayable runs once.
    LocalRunsOnce,
    /// A call is one job.
    OneJob,
    /// An accepted job ends.
    Ends,
    /// The end of a job is notified of, if its acceptance said so.
    Notified,
    /// A notification is of the end of its job, which has this state.
    NotifiedOfTheEnd,
    /// A cancellation that was acknowledged stays, and the job is not run any more.
    Cancelled,
    /// Answers have one of the documented forms.
    Documented,
    /// Processes end as they are told to, and only then.
    CleanEnd,
    /// A process does not touch what a newer one has written, and a newer one ends it.
    LeftAlone,
    /// All attempts at a job reach the server behind gateways with one key, which is the client's if
    /// it has one.
    OneKey,
    /// Later attempts at a job have higher numbers.
    RisingAttempts,
    /// After the retention, nothing is left in the store, and it is sound.
    #[serde(alias = "clean-file")]
    CleanStore,
}

/// A promise that was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Violation {
    pub(crate) promise: Promise,
    pub(crate) text: String,
}

impl Violation {
    pub(crate) fn new(promise: Promise, text: impl Into<String>) -> Self {
        let text = text.into();
        Self { promise, text }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.promise, self.text)
    }
}

/// Returns the promises that were broken in a round with these calls.
pub(crate) fn check(
    events: &[(Duration, Event)],
    calls: &HashMap<u64, Call>,
    was_full: bool,
) -> Vec<Violation> {
    let traces = Traces::of(events, was_full);
    let mut violations = processes(events, calls, was_full);
    for (number, trace) in &traces.by_call {
        let Some(call) = calls.get(number) else {
            continue;
        };
        let checks = [
            results(trace, &traces),
            known(trace, &traces),
            ends(trace, call, &traces),
            runs(trace, call, &traces),
            documented(trace, call),
            notices::notices(trace, &traces),
            cancels::cancels(trace, &traces),
        ];
        for mut violation in checks.into_iter().flatten() {
            violation.text = format!("call {number} ({:?}): {}", call.work, violation.text);
            violations.push(violation);
        }
    }
    violations
}

/// Checks that processes end only if they are told to, or by a job that kills them.
fn processes(
    events: &[(Duration, Event)],
    calls: &HashMap<u64, Call>,
    was_full: bool,
) -> Vec<Violation> {
    let is_poison = |number| calls.get(number).map(|call| call.work) == Some(Work::Poison);
    let mut doomed = HashSet::new();
    let mut poisoned = HashSet::new();
    let mut violations = Vec::new();
    for (_, event) in events {
        match event {
            Event::Killed(process, _) | Event::Terminated(process, _) => {
                doomed.insert(*process);
            }
            Event::Run(run) if is_poison(&run.number) => {
                poisoned.insert(run.process);
            }
            Event::Ended { process, is_clean } => {
                let was_told = *is_clean && doomed.contains(process);
                // On a full store, it may refuse to start.
                if !was_told && !poisoned.contains(process) && !was_full {
                    let text = format!("process {process} has ended by itself, or badly");
                    violations.push(Violation::new(Promise::CleanEnd, text));
                }
            }
            _ => {}
        }
    }
    violations
}

/// Checks that there is one result, whole, of one of the runs.
fn results(trace: &Trace<'_>, traces: &Traces<'_>) -> Vec<Violation> {
    let mut violations = Vec::new();
    for answers in traces.parts(trace, &trace.answers) {
        let answers = answers.iter().map(|(_, answer)| answer);
        let nonces: BTreeSet<_> = answers.clone().filter_map(|a| a.nonce.as_ref()).collect();
        if nonces.len() > 1 {
            let text = format!("results of several runs: {nonces:?}");
            violations.push(Violation::new(Promise::OneResult, text));
        }
        let states = answers.filter_map(|answer| answer.state);
        let ends: HashSet<_> = states.filter(|state| state.is_final()).collect();
        // A forgotten job is unknown, until its run or its call stores it again.
        let is_gone = traces.is_forgotten(trace) || trace.may_be_removed();
        if ends.len() > 1 && !is_gone {
            let text = format!("several ends: {ends:?}");
            violations.push(Violation::new(Promise::OneResult, text));
        }
        for nonce in nonces {
            if !trace.runs.iter().any(|(_, run)| run.nonce == *nonce) {
                let text = format!("a result of no run: {nonce}");
                violations.push(Violation::new(Promise::WholeResult, text));
            }
        }
    }
    if trace.answers.iter().any(|(_, answer)| !answer.is_whole) {
        let text = "a result was cut, or mixed with another";
        violations.push(Violation::new(Promise::WholeResult, text));
    }
    violations
}

/// Checks that the job is never unknown once it is accepted.
fn known(trace: &Trace<'_>, traces: &Traces<'_>) -> Vec<Violation> {
    let Some(accepted) = trace.accepted() else {
        return Vec::new();
    };
    if traces.is_forgotten(trace) || trace.may_be_removed() {
        return Vec::new();
    }
    let is_unknown = |answer: &Answer| match answer.state {
        Some(JobState::Cancelled) => false,
        Some(JobState::Unknown | JobState::Expired) => true,
        _ => matches!(answer.status, 404 | 410),
    };
    let later = trace.answers.iter().filter(|(at, _)| *at >= accepted);
    let unknown = later.filter(|(_, answer)| answer.is_poll && is_unknown(answer));
    unknown
        .map(|(at, answer)| {
            let text = format!("{} at {at:?}, after its acceptance", answer.status);
            Violation::new(Promise::Known, text)
        })
        .collect()
}

/// Checks that the job ends, and in a state that its runs explain.
fn ends(trace: &Trace<'_>, call: &Call, traces: &Traces<'_>) -> Vec<Violation> {
    let mut violations = Vec::new();
    let state = trace.state();
    let has_result = trace
        .answers
        .iter()
        .any(|(_, answer)| answer.nonce.is_some());
    let is_accepted = trace.accepted().is_some();
    let must_end = is_accepted || (call.is_keyed && !traces.was_full);
    let is_answered = trace
        .answers
        .iter()
        .any(|(_, answer)| is_failure(answer, call));
    let has_ended = has_result || is_answered || state.is_some_and(JobState::is_final);
    if must_end && !has_ended && !trace.may_be_removed() {
        let text = format!("it has not ended: {state:?}");
        violations.push(Violation::new(Promise::Ends, text));
    }
    let hurt_since = |begun: Duration, process: Option<ProcessId>| {
        let faults = traces.faults.iter().filter(move |fault| fault.at >= begun);
        faults.filter(move |fault| process.is_none_or(|process| fault.concerns(process)))
    };
    match state {
        Some(JobState::Lost) => {
            let is_hurt =
                |(at, run): &(Duration, &Run)| hurt_since(*at, Some(run.process)).next().is_some();
            if traces.is_forgotten(trace) {
                // Its process tells that it is gone.
            } else if call.work.is_replayable() {
                let text = "lost, though it is replayable";
                violations.push(Violation::new(Promise::LostOnlyWithItsProcess, text));
            } else if !traces.was_full && !trace.runs.is_empty() && !trace.runs.iter().any(is_hurt)
            {
                let text = "lost, though its process lives";
                violations.push(Violation::new(Promise::LostOnlyWithItsProcess, text));
            }
        }
        Some(JobState::Failed) => {
            let begun = trace.runs.first().map_or(Duration::ZERO, |(at, _)| *at);
            let hurt = hurt_since(begun, None).count();
            let is_explained = traces.was_full || is_broken_off(trace, call, traces);
            if hurt < call.work.most_attempts() as usize && !is_explained {
                let text = format!("failed after {hurt} faults");
                violations.push(Violation::new(Promise::FailedOnlyWhenUsedUp, text));
            }
        }
        Some(JobState::Cancelled) if trace.cancel.asked.is_some() => {}
        Some(JobState::TimedOut | JobState::Cancelled) => {
            let text = format!("ended as {state:?}");
            violations.push(Violation::new(Promise::Documented, text));
        }
        _ => {}
    }
    violations
}

/// Returns whether the answer is a gateway's own, since the server has died. A request that can be sent
/// again never has it.
fn is_failure(answer: &Answer, call: &Call) -> bool {
    answer.status == 502 && !call.work.is_replayable()
}

/// Returns whether the server behind a gateway has died after the head of a long response.
fn is_broken_off(trace: &Trace<'_>, call: &Call, traces: &Traces<'_>) -> bool {
    let is_hurt = |(at, run): &(Duration, &Run)| {
        let mut faults = traces.faults.iter().filter(|fault| fault.at >= *at);
        let received = run.received.as_ref();
        received.is_some_and(|received| faults.any(|fault| fault.concerns(received.by)))
    };
    call.work == Work::Large && trace.runs.iter().any(is_hurt)
}

/// Checks the number of runs, and that all are of one job.
fn runs(trace: &Trace<'_>, call: &Call, traces: &Traces<'_>) -> Vec<Violation> {
    let mut violations = Vec::new();
    let most_jobs = match traces.is_forgotten(trace) {
        true => 1 + traces.undone.len(),
        false => 1,
    };
    let handles: BTreeSet<_> = trace.runs.iter().map(|(_, run)| &run.handle).collect();
    let answers = trace.answers.iter();
    let jobs: BTreeSet<_> = answers
        .filter_map(|(_, answer)| answer.job.as_ref())
        .collect();
    if handles.len() > most_jobs || jobs.len() > most_jobs {
        let text = format!("{} jobs, {} locations", handles.len(), jobs.len());
        violations.push(Violation::new(Promise::OneJob, text));
    }
    if !call.work.is_replayable() && trace.runs.len() > most_jobs {
        let text = format!("{} runs", trace.runs.len());
        violations.push(Violation::new(Promise::LocalRunsOnce, text));
    }
    let most = call.work.most_attempts();
    let mut last: BTreeMap<(&str, u32), &Run> = BTreeMap::new();
    for (at, run) in &trace.runs {
        if run.attempt > most {
            let text = format!("attempt {} of {most}", run.attempt);
            violations.push(Violation::new(Promise::BoundedRuns, text));
        }
        // A process that shuts down gives the attempt back; one that dies has used it up.
        if let Some(earlier) = last.insert((&run.handle, run.attempt), run) {
            let mut returns = traces.returns.iter().filter(|fault| fault.at <= *at);
            if !returns.any(|fault| fault.concerns(earlier.process)) {
                let text = format!("attempt {} was made twice", run.attempt);
                violations.push(Violation::new(Promise::BoundedRuns, text));
            }
        }
    }
    violations
}

/// Checks that answers have one of the documented forms.
fn documented(trace: &Trace<'_>, call: &Call) -> Vec<Violation> {
    let is_documented = |answer: &Answer| match answer.status {
        200 => answer.nonce.is_some(),
        502 => is_failure(answer, call),
        429 | 503 | 507 => true,
        _ => answer.state.is_some(),
    };
    let answers = trace.answers.iter().map(|(_, answer)| answer);
    let others = answers.filter(|answer| !is_documented(answer));
    others
        .map(|answer| {
            let text = format!("an answer with {}", answer.status);
            Violation::new(Promise::Documented, text)
        })
        .collect()
}
