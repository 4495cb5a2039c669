//! The history of a round, by calls.

use std::{collections::BTreeMap, ops::Range, time::Duration};

use http_polling::JobState;

use crate::{
    history::{Answer, Event, Notice, ProcessId, Run},
    scenario::Scenario,
};

/// The part of a history that concerns one call.
#[derive(Default)]
pub(crate) struct Trace<'a> {
    pub(crate) runs: Vec<(Duration, &'a Run)>,
    pub(crate) answers: Vec<(Duration, &'a Answer)>,
    pub(crate) notices: Vec<(Duration, &'a Notice)>,
    pub(super) cancel: Cancel,
}

/// The cancellation of a call's job.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Cancel {
    /// The time at which it was asked for.
    pub(super) asked: Option<Duration>,
    /// The time at which it was acknowledged.
    pub(super) accepted: Option<Duration>,
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

    /// Returns whether the call was told that the end of its job is notified of.
    pub(crate) fn has_callback(&self) -> bool {
        self.answers.iter().any(|(_, answer)| answer.has_callback)
    }

    /// Returns whether the job may have been removed by its client, since it had ended when it was to
    /// be cancelled.
    pub(crate) fn may_be_removed(&self) -> bool {
        self.cancel.asked.is_some() && self.cancel.accepted.is_none()
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
    /// The processes that were told to stop, and the times at which the store forgot claims: they
    /// give attempts back.
    pub(super) returns: Vec<Fault>,
    /// The store was full, so that jobs could not end.
    pub(super) was_full: bool,
}

impl<'a> Traces<'a> {
    pub(crate) fn of(events: &'a [(Duration, Event)], was_full: bool) -> Self {
        let mut by_call = BTreeMap::<_, Trace<'a>>::new();
        let mut faults = Vec::new();
        let (mut undone, mut backed_up) = (Vec::new(), Duration::ZERO);
        let mut returns = Vec::new();
        for (at, event) in events {
            if let Some(process) = gives_back(event) {
                returns.push(Fault { at: *at, process });
            }
            let mut hurt = |process| faults.push(Fault { at: *at, process });
            match event {
                Event::Run(run) => by_call.entry(run.number).or_default().runs.push((*at, run)),
                Event::Answered(answer) => {
                    let trace = by_call.entry(answer.number).or_default();
                    trace.answers.push((*at, answer));
                }
                Event::Notified(notice) => {
                    let trace = by_call.entry(notice.number).or_default();
                    trace.notices.push((*at, notice));
                }
                Event::CancelAsked { number } => {
                    by_call.entry(*number).or_default().cancel.asked = Some(*at);
                }
                Event::CancelAnswered { number, status } => {
                    let accepted = (*status == 202).then_some(*at);
                    by_call.entry(*number).or_default().cancel.accepted = accepted;
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
            returns,
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

    /// Returns whether the end of a call's job is to be notified of.
    pub(crate) fn is_to_be_notified(&self, trace: &Trace<'_>) -> bool {
        let is_there = !self.is_forgotten(trace) && !trace.may_be_removed();
        trace.has_callback() && is_there
    }

    /// Returns the number of returns to a backup before that time.
    pub(super) fn part(&self, at: Duration) -> usize {
        self.undone.iter().filter(|times| times.end <= at).count()
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
            false => self.part(at),
        };
        let parts: Vec<_> = seen
            .chunk_by(|(one, _), (other, _)| part(*one) == part(*other))
            .collect();
        parts.into_iter()
    }
}

/// Returns the process whose runs give their attempts back after an event, or none if it concerns all.
fn gives_back(event: &Event) -> Option<Option<ProcessId>> {
    use Scenario::{Failover, MasterKilled};
    match event {
        Event::Terminated(process, _) => Some(Some(*process)),
        Event::Restored => Some(None),
        Event::Disturbed(_, MasterKilled | Failover) => Some(None),
        _ => None,
    }
}
