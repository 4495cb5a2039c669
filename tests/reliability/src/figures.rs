//! The figures of all rounds, which a later run adds to.

use std::{
    collections::{BTreeMap, HashMap},
    fmt::Write as _,
    fs, io,
    path::Path,
    time::Duration,
};

use anyhow::{Context, ensure};
use http_polling::JobState;
use serde::{Deserialize, Serialize};

use crate::{
    calls::{Call, Work},
    check::{Promise, Traces},
    history::{Event, ProcessId, Run},
    process::LEASE,
    scenario::Scenario,
    times::{Times, add_counts},
};

/// The figures of all rounds.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Figures {
    pub(crate) store: String,
    pub(crate) lease_millis: u64,
    /// The seed of the first round. Each further round has the next one.
    pub(crate) first_seed: u64,
    pub(crate) rounds_begun: u64,
    pub(crate) seconds: u64,
    pub(crate) sums: Sums,
    pub(crate) failures: Vec<Failure>,
}

/// The figures that are added up.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Sums {
    pub(crate) rounds: u64,
    /// Processes that were killed, by a signal or by a job.
    pub(crate) kills: u64,
    pub(crate) kills_by_scenario: BTreeMap<Scenario, u64>,
    /// Faults that are no kills: processes that were stopped or terminated.
    pub(crate) other_faults: BTreeMap<Scenario, u64>,
    pub(crate) calls: u64,
    /// Calls that became jobs, as their clients or a second run show.
    pub(crate) jobs: u64,
    /// Jobs that cannot be replayed, and were lost with their process.
    pub(crate) lost_not_replayable: u64,
    /// Jobs that can be replayed, and were lost, or unknown.
    pub(crate) lost: u64,
    /// Jobs that were accepted after a backup to which the store returned, and then unknown or lost.
    pub(crate) forgotten: u64,
    /// Jobs whose handler was called more than once.
    pub(crate) run_twice: u64,
    /// Runs that were stopped, since their process was stopped or too slow to renew their lease.
    pub(crate) leases_lost: u64,
    /// Jobs that were cancelled.
    pub(crate) cancelled: u64,
    /// Notifications of ends, those that were sent again included.
    pub(crate) notices: u64,
    /// Jobs that were notified of.
    pub(crate) notified: u64,
    /// Jobs that used their attempts up.
    pub(crate) failed: u64,
    /// Jobs that kill their process, which ended as failed.
    pub(crate) poisoned: u64,
    /// The times from a kill to the second run of a job, in milliseconds, with their numbers.
    pub(crate) recoveries: Times,
    /// The times from a kill of the server behind gateways to the second run of a job.
    pub(crate) upstream_recoveries: Times,
    /// The times from the end of a handler to the answer of a poll that another process holds.
    pub(crate) wakes: Times,
    /// The same while there are no notifications.
    pub(crate) late_wakes: Times,
}

/// A round in which a promise was broken.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Failure {
    pub(crate) seed: u64,
    pub(crate) promises: Vec<Promise>,
}

impl Sums {
    /// Returns the figures of a round. Recoveries on a full disk are left out, since they wait for
    /// room, and those near a shift of the clock or a fault of the
    /// links or servers, after which nodes may claim nothing for a lease.
    pub(crate) fn of(
        events: &[(Duration, Event)],
        calls: &HashMap<u64, Call>,
        was_full: bool,
    ) -> Self {
        let mut sums = Self {
            rounds: 1,
            calls: calls.len() as u64,
            ..Self::default()
        };
        let mut killed = HashMap::new();
        let mut returned = HashMap::new();
        let mut shifts = Vec::new();
        for (at, event) in events {
            match event {
                Event::Shifted(_) | Event::Healed(_) => shifts.push(*at),
                Event::Disturbed(_, scenario) => {
                    shifts.push(*at);
                    sums.count_other(*scenario);
                }
                Event::Returned { number, .. } => {
                    returned.insert(*number, *at);
                }
                Event::Woken {
                    number,
                    is_notified,
                } => {
                    let times = match is_notified {
                        true => &mut sums.wakes,
                        false => &mut sums.late_wakes,
                    };
                    if let Some(end) = returned.get(number) {
                        times.add_one(*at - *end);
                    }
                }
                Event::Killed(process, scenario) => {
                    sums.count_kill(*scenario);
                    killed.insert(*process, *at);
                }
                Event::LeaseLost(_) => sums.leases_lost += 1,
                Event::Stopped(_) => sums.count_other(Scenario::Pause),
                Event::Terminated(_, Some(scenario)) => sums.count_other(*scenario),
                Event::Ended {
                    process,
                    is_clean: false,
                } if !was_full => {
                    sums.count_kill(Scenario::Poison);
                    killed.insert(*process, *at);
                }
                _ => {}
            }
        }
        let traces = Traces::of(events, was_full);
        for (number, trace) in &traces.by_call {
            let Some(call) = calls.get(number) else {
                continue;
            };
            let is_run_again = trace.runs.len() > 1;
            sums.jobs += u64::from(trace.accepted().is_some() || is_run_again);
            sums.run_twice += u64::from(is_run_again);
            sums.notices += trace.notices.len() as u64;
            sums.notified += u64::from(!trace.notices.is_empty());
            match trace.state() {
                Some(JobState::Cancelled) => sums.cancelled += 1,
                _ if trace.may_be_removed() => {}
                Some(JobState::Lost) if !call.work.is_replayable() => sums.lost_not_replayable += 1,
                Some(state) if traces.is_forgotten(trace) => {
                    use JobState::{Expired, Lost, Unknown};
                    sums.forgotten += u64::from(matches!(state, Expired | Lost | Unknown));
                }
                Some(JobState::Lost | JobState::Unknown | JobState::Expired) => sums.lost += 1,
                Some(JobState::Failed) if call.work == Work::Poison => sums.poisoned += 1,
                Some(JobState::Failed) => sums.failed += 1,
                _ => {}
            }
            for runs in trace.runs.windows(2).filter(|_| !was_full) {
                let (first, second) = (&runs[0], &runs[1]);
                let Some((killed, time)) = recovery(first, second, first.1.process, &killed) else {
                    let upstream = first.1.received.as_ref();
                    let recovery = upstream.and_then(|it| recovery(first, second, it.by, &killed));
                    recovery
                        .iter()
                        .for_each(|(_, time)| sums.upstream_recoveries.add_one(*time));
                    continue;
                };
                let near = killed.saturating_sub(2 * LEASE)..killed + time;
                if !shifts.iter().any(|shift| near.contains(shift)) {
                    sums.recoveries.add_one(time);
                }
            }
        }
        sums
    }

    fn count_kill(&mut self, scenario: Scenario) {
        self.kills += 1;
        *self.kills_by_scenario.entry(scenario).or_default() += 1;
    }

    fn count_other(&mut self, scenario: Scenario) {
        *self.other_faults.entry(scenario).or_default() += 1;
    }

    pub(crate) fn add(&mut self, other: &Self) {
        self.rounds += other.rounds;
        self.kills += other.kills;
        self.calls += other.calls;
        self.jobs += other.jobs;
        self.lost_not_replayable += other.lost_not_replayable;
        self.lost += other.lost;
        self.forgotten += other.forgotten;
        self.run_twice += other.run_twice;
        self.leases_lost += other.leases_lost;
        self.cancelled += other.cancelled;
        self.notices += other.notices;
        self.notified += other.notified;
        self.failed += other.failed;
        self.poisoned += other.poisoned;
        add_counts(&mut self.kills_by_scenario, &other.kills_by_scenario);
        add_counts(&mut self.other_faults, &other.other_faults);
        self.recoveries.add(&other.recoveries);
        self.upstream_recoveries.add(&other.upstream_recoveries);
        self.wakes.add(&other.wakes);
        self.late_wakes.add(&other.late_wakes);
    }
}

/// Returns the time of the kill of a process that a run was in, and the time from there to the second run.
/// `None` if the process was not killed, or if another one was killed with the job before its
/// handler was called.
fn recovery(
    (began, run): &(Duration, &Run),
    (again, next): &(Duration, &Run),
    process: ProcessId,
    killed: &HashMap<ProcessId, Duration>,
) -> Option<(Duration, Duration)> {
    let at = killed.get(&process)?;
    // Later attempts wait for longer, on purpose.
    let is_next = next.attempt == 2 && run.attempt == 1 && (began..again).contains(&at);
    is_next.then(|| (*at, *again - *at))
}

impl Figures {
    pub(crate) fn new(store: &str, lease: Duration, first_seed: u64) -> Self {
        Self {
            store: store.to_owned(),
            lease_millis: u64::try_from(lease.as_millis()).unwrap_or(u64::MAX),
            first_seed,
            rounds_begun: 0,
            seconds: 0,
            sums: Sums::default(),
            failures: Vec::new(),
        }
    }

    /// Reads the figures of earlier runs, or returns new ones.
    pub(crate) fn read_or(path: &Path, new: Self) -> anyhow::Result<Self> {
        let text = match fs::read(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(new),
            Err(error) => return Err(error).with_context(|| path.display().to_string()),
        };
        let old: Self = serde_json::from_slice(&text)
            .with_context(|| format!("{} has no figures", path.display()))?;
        ensure!(
            (&old.store, old.lease_millis) == (&new.store, new.lease_millis),
            "{} has the figures of other settings",
            path.display()
        );
        Ok(old)
    }

    /// Replaces the file in one step.
    pub(crate) fn write(&self, path: &Path) -> anyhow::Result<()> {
        let new = path.with_extension("new");
        fs::write(&new, serde_json::to_vec_pretty(self)?)?;
        fs::rename(&new, path)?;
        Ok(())
    }

    /// Returns the figures as tables in Markdown.
    pub(crate) fn tables(&self) -> String {
        let sums = &self.sums;
        let rows = [
            ("rounds (stores)", sums.rounds.to_string()),
            ("kills", sums.kills.to_string()),
            ("calls", sums.calls.to_string()),
            ("jobs", sums.jobs.to_string()),
            ("replayable jobs lost or unknown", sums.lost.to_string()),
            (
                "other jobs lost with their process",
                sums.lost_not_replayable.to_string(),
            ),
            (
                "jobs forgotten by a return to a backup",
                sums.forgotten.to_string(),
            ),
            ("jobs run more than once", sums.run_twice.to_string()),
            ("runs that lost their lease", sums.leases_lost.to_string()),
            ("jobs cancelled", sums.cancelled.to_string()),
            ("jobs whose end was notified of", sums.notified.to_string()),
            (
                "notifications, repeated ones included",
                sums.notices.to_string(),
            ),
            ("jobs failed after their attempts", sums.failed.to_string()),
            (
                "jobs that kill their process, failed",
                sums.poisoned.to_string(),
            ),
            (
                "rounds with a broken promise",
                self.failures.len().to_string(),
            ),
            ("recoveries", sums.recoveries.count().to_string()),
            ("recovery, p50", sums.recoveries.at_most(0.5)),
            ("recovery, p99", sums.recoveries.at_most(0.99)),
            ("recovery, longest", sums.recoveries.at_most(1.0)),
            (
                "recoveries from kills of the server behind gateways",
                sums.upstream_recoveries.count().to_string(),
            ),
            ("of these, p50", sums.upstream_recoveries.at_most(0.5)),
            ("of these, p99", sums.upstream_recoveries.at_most(0.99)),
            ("wakes on other processes", sums.wakes.count().to_string()),
            ("wake, p50", sums.wakes.at_most(0.5)),
            ("wake, p99", sums.wakes.at_most(0.99)),
            (
                "wakes without notifications",
                sums.late_wakes.count().to_string(),
            ),
            ("without notifications, p50", sums.late_wakes.at_most(0.5)),
            ("without notifications, p99", sums.late_wakes.at_most(0.99)),
            (
                "lease",
                format!("{:.2} s", self.lease_millis as f64 / 1000.0),
            ),
            ("time", format!("{} min", self.seconds.div_ceil(60))),
            (
                "seeds",
                format!(
                    "{} to {}",
                    self.first_seed,
                    self.first_seed + self.rounds_begun.saturating_sub(1)
                ),
            ),
        ];
        let mut text = String::from("| figure | value |\n|---|---:|\n");
        for (name, value) in rows {
            let _ = writeln!(text, "| {name} | {value} |");
        }
        text.push_str("\n| scenario | kills | other faults |\n|---|---:|---:|\n");
        for scenario in Scenario::ALL {
            let kills = sums.kills_by_scenario.get(scenario).unwrap_or(&0);
            let others = sums.other_faults.get(scenario).unwrap_or(&0);
            if kills + others > 0 {
                let _ = writeln!(text, "| {scenario} | {kills} | {others} |");
            }
        }
        text
    }
}
