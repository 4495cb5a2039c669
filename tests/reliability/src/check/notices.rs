//! The promises about the notifications of ends.

use http_polling::JobState;

use super::{Promise, Trace, Traces, Violation};

/// Checks that each end is notified of that is to be, and nothing else.
pub(super) fn notices(trace: &Trace<'_>, traces: &Traces<'_>) -> Vec<Violation> {
    let mut violations = Vec::new();
    if traces.is_to_be_notified(trace) && trace.notices.is_empty() {
        let text = format!("its end was not notified of: {:?}", trace.state());
        violations.push(Violation::new(Promise::Notified, text));
    }
    for (at, notice) in &trace.notices {
        let mut broken = |text| violations.push(Violation::new(Promise::NotifiedOfTheEnd, text));
        if !notice.state.is_final() {
            broken(format!("notified at {at:?} that it is {}", notice.state));
        }
        if !trace.runs.is_empty()
            && !trace
                .runs
                .iter()
                .any(|(_, run)| run.handle == notice.handle)
        {
            broken(format!(
                "notified of {}, which is no run of it",
                notice.handle
            ));
        }
        // A return to a backup undoes an end.
        let answers = trace.answers.iter();
        let same = answers.filter(|(seen, _)| traces.part(*seen) == traces.part(*at));
        let contradicts = |state: JobState, asked| match state {
            JobState::Unknown | JobState::Expired => false,
            state if state.is_pending() => asked > *at,
            state => state != notice.state,
        };
        for (seen, answer) in same {
            if let Some(state) = answer.state
                && contradicts(state, answer.asked)
            {
                let told = notice.state;
                broken(format!(
                    "notified at {at:?} that it is {told}; {state} at {seen:?}"
                ));
            }
        }
    }
    violations
}
