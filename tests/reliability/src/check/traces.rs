//! The history of a round, by calls.

use std::{collections::BTreeMap, ops::Range, time::Duration};

use http_polling::JobState;

use crate::history::{Answer, Event, ProcessId, Run};

/// The part of a history that concerns one call.
#[derive(Default)]
pub(crate) struct Trace<'a> {
    pub(crate) runs: Vec<(Duration, &'a Run)>,
    pub(crate) answers: Vec<(Duration, &'a Answer)>,
}

impl Trace<'_> {
    /// Returns the time of the acceptance.
    pub(crate) fn accepted(&self) -> Option<Duration> {
        self.acceptance().map(|(at, _)| *at)
    }

    fn acceptance(&self) -> Option<&(Duration, &Answer)> {
        self.answers.iter().find(|(_, answer)| answer.job.is_some())
    }

    /// Returns the time at which the call was first seen.
    fn begun(&self) -> Option<Duration> {
        let run = self.runs.first().map(|(at, _)| *at);
        let answer = self.answers.first().map(|(at, _)| *at);
        run.into_iter().chain(answer).min()
    }

    /// Returns the last state that an answer had.
    pub(crate) fn state(&self) -> Option<JobState> {
        self.answers
            .iter()
            .rev()
            .find_map(|(_, answer)| answer.state)
    }
}

/// A time at which a process was hurt, or all were.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fault {
    pub(super) at: Duration,
    process: Option<ProcessId>,
}

impl Fault {
    pub(super) fn concerns(&self, process: ProcessId) -> bool {
        self.process.is_none_or(|hurt| hurt == process)
    }
}

/// The history of a round, by calls.
pub(crate) struct Traces<'a> {
    pub(crate) by_call: BTreeMap<u64, Trace<'a>>,
    pub(super) faults: Vec<Fault>,
    /// The times that a return to a backup has undone.
    pub(super) undone: Vec<Range<Duration>>,
    /// The store was full, so that jobs could not end.
    pub(super) was_full: bool,
}

impl<'a> Traces<'a> {
    pub(crate) fn of(events: &'a [(Duration, Event)], was_full: bool) -> Self {
        let mut by_call = BTreeMap::<_, Trace<'a>>::new();
        let mut faults = Vec::new();
        let (mut undone, mut backed_up) = (Vec::new(), Duration::ZERO);
        for (at, event) in events {
            let mut hurt = |process| faults.push(Fault { at: *at, process });
            match event {
                Event::Run(run) => by_call.entry(run.number).or_default().runs.push((*at, run)),
                Event::Answered(answer) => {
                    let trace = by_call.entry(answer.number).or_default();
                    trace.answers.push((*at, answer));
                }
                Event::Killed(process, _)
                | Event::Stopped(process)
                | Event::Terminated(process, _)
                | Event::Shifted(process)
                | Event::LeaseLost(process)
                | Event::Ended { process, .. } => hurt(Some(*process)),
                Event::Disturbed(process, _) | Event::Healed(process) => hurt(*process),
                Event::BackedUp => backed_up = *at,
                Event::Restored => {
                    undone.push(backed_up..*at);
                    hurt(None);
                }
                Event::Started(_)
                | Event::Returned { .. }
                | Event::Woken { .. }
                | Event::Settled { .. } => {}
            }
        }
        Self {
            by_call,
            faults,
            undone,
            was_full,
        }
    }

    /// Returns whether something at that time was undone.
    pub(crate) fn is_undone(&self, at: Duration) -> bool {
        self.undone.iter().any(|times| times.contains(&at))
    }

    /// Returns whether the creation of a call's job was undone: it may be unknown, and the call
    /// another job.
    pub(crate) fn is_forgotten(&self, trace: &Trace<'_>) -> bool {
        // The answer may have waited for the store to come back.
        let asked = trace.acceptance().map(|(_, answer)| answer.asked);
        let times = [asked, trace.accepted(), trace.begun()];
        times.iter().flatten().any(|at| self.is_undone(*at))
    }

    /// Divides what was seen of a call where the store returned to a backup, if that has undone some
    /// of it.
    pub(super) fn parts<'b, T>(
        &self,
        trace: &Trace<'_>,
        seen: &'b [(Duration, T)],
    ) -> impl Iterator<Item = &'b [(Duration, T)]> {
        let runs = trace.runs.iter().map(|(at, _)| *at);
        let mut times = runs.chain(trace.answers.iter().map(|(at, _)| *at));
        let is_whole = !times.any(|at| self.is_undone(at));
        let part = move |at| match is_whole {
            true => 0,
            false => self.undone.iter().filter(|times| times.end <= at).count(),
        };
        let parts: Vec<_> = seen
            .chunk_by(|(one, _), (other, _)| part(*one) == part(*other))
            .collect();
        parts.into_iter()
    }
}
