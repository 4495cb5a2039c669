//! A round: processes on a new store, clients, and faults.

mod faults;
mod outages;
mod restore;
mod upgrade;

use std::{
    collections::HashMap,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use fastrand::Rng;
use futures_util::{StreamExt, stream};
use http_polling::JobState;
use tokio::{
    task::JoinSet,
    time::{sleep, timeout},
};

use crate::{
    behind,
    calls::Call,
    check::{Promise, Traces, Violation, check},
    client::Clients,
    figures::Sums,
    fleet::Fleet,
    history::Event,
    process::{LEASE, Settings},
    program::Program,
    store::Backend,
};

/// The time that running jobs have after SIGTERM. Some do not end within it.
const GRACE: Duration = Duration::from_secs(1);

/// The time that jobs may take to end once the faults are over.
const SETTLING: Duration = Duration::from_secs(60);

/// The number of keys that are repeated at the end.
const REPEATED: usize = 20;

/// The outcome of a round.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) seed: u64,
    pub(crate) sums: Sums,
    pub(crate) violations: Vec<Violation>,
}

/// A round under way.
pub(crate) struct Round {
    pub(crate) seed: u64,
    pub(crate) fleet: Arc<Fleet>,
    pub(crate) clients: Clients,
    pub(crate) rng: Rng,
    pub(crate) violations: Vec<Violation>,
    calls: Arc<Mutex<HashMap<u64, Call>>>,
    under_way: JoinSet<()>,
}

impl Round {
    pub(crate) async fn new(
        seed: u64,
        backend: &Arc<dyn Backend>,
        programs: &[Program],
        directory: &Path,
    ) -> Self {
        let settings = Settings {
            lease: LEASE,
            grace: GRACE,
        };
        let log = directory.join("processes.log");
        let fleet = Fleet::new(backend.clone(), &log, settings, programs).await;
        Self {
            seed,
            clients: Clients::new(&fleet, seed),
            fleet,
            rng: Rng::with_seed(seed),
            violations: Vec::new(),
            calls: Arc::default(),
            under_way: JoinSet::new(),
        }
    }

    pub(crate) fn broken(&mut self, promise: Promise, text: impl Into<String>) {
        self.violations.push(Violation::new(promise, text));
    }

    /// Waits until all processes listen.
    pub(crate) async fn all_listening(&self) {
        for slot in 0..self.fleet.len() {
            self.fleet.listening(slot).await;
        }
    }

    /// Makes a call in the background.
    pub(crate) fn start_call(&mut self, make: impl FnOnce(u64, &mut Rng) -> Call) -> Call {
        let rng = &mut self.rng;
        let call = noted(&self.calls, |number| make(number, rng));
        let clients = self.clients.clone();
        self.under_way
            .spawn(async move { clients.call(call).await });
        call
    }

    /// Waits, for a while, until at most this number of calls is under way.
    pub(crate) async fn under_way_at_most(&mut self, calls: usize) {
        while self.under_way.len() > calls {
            let ended = timeout(Duration::from_secs(1), self.under_way.join_next());
            if ended.await.is_err() {
                return;
            }
        }
    }

    /// Waits for an event, for a while.
    pub(crate) async fn event<T>(
        &self,
        from: usize,
        find: impl Fn(&Event) -> Option<T>,
    ) -> Option<T> {
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(10) {
            if let Some(found) = self.fleet.history.find(from, &find) {
                return Some(found);
            }
            sleep(Duration::from_millis(1)).await;
        }
        None
    }

    /// Waits until all calls have ended.
    pub(crate) async fn settle(&mut self) {
        while self.under_way.join_next().await.is_some() {}
    }

    /// Polls each job until it has ended, and repeats some keys.
    pub(crate) async fn audit(&mut self) {
        self.all_listening().await;
        let jobs = self.jobs();
        let clients = self.clients.clone();
        let looks = jobs.clone().into_iter();
        let looks = looks.map(move |(call, job)| end_of(clients.clone(), call, job));
        let mut looks = stream::iter(looks).buffer_unordered(8);
        while looks.next().await.is_some() {}
        let keyed = jobs.iter().filter(|(call, _)| call.is_keyed);
        for (call, _) in keyed.take(REPEATED) {
            self.clients.call(*call).await;
        }
        let begun = Instant::now();
        while !is_notified(&self.fleet.history.events()) && begun.elapsed() < SETTLING {
            sleep(Duration::from_millis(200)).await;
        }
    }

    /// Returns the accepted jobs, by their ids.
    pub(crate) fn jobs(&self) -> Vec<(Call, String)> {
        let calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        let events = self.fleet.history.events();
        let traces = Traces::of(&events, false);
        let jobs = traces.by_call.iter().filter_map(|(number, trace)| {
            let (_, answer) = trace.answers.iter().find(|(_, a)| a.job.is_some())?;
            Some((*calls.get(number)?, answer.job.clone()?))
        });
        jobs.collect()
    }

    pub(crate) fn outcome(&mut self, was_full: bool) -> Outcome {
        let events = self.fleet.history.events();
        let calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        let mut violations = std::mem::take(&mut self.violations);
        violations.extend(check(&events, &calls, was_full));
        if self.fleet.upstream().is_some() {
            violations.extend(behind::check(&events, &calls, self.seed));
        }
        Outcome {
            seed: self.seed,
            sums: Sums::of(&events, &calls, was_full),
            violations,
        }
    }
}

/// Returns whether all ends were notified of that are to be.
fn is_notified(events: &[(Duration, Event)]) -> bool {
    let traces = Traces::of(events, false);
    let mut of_calls = traces.by_call.values();
    of_calls.all(|trace| !traces.is_to_be_notified(trace) || !trace.notices.is_empty())
}

/// Adds a call, by the next number.
fn noted(calls: &Mutex<HashMap<u64, Call>>, make: impl FnOnce(u64) -> Call) -> Call {
    let mut calls = calls.lock().unwrap_or_else(PoisonError::into_inner);
    let call = make(calls.len() as u64);
    calls.insert(call.number, call);
    call
}

/// Polls a job twice, both times until it has ended.
async fn end_of(clients: Clients, call: Call, job: String) {
    let begun = Instant::now();
    for _ in 0..2 {
        while !clients
            .look(call, &job)
            .await
            .is_some_and(JobState::is_final)
            && begun.elapsed() < SETTLING
        {
            sleep(Duration::from_millis(200)).await;
        }
    }
}
