//! A round: processes on a new file, clients, and faults.

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
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
    calls::{Call, Work},
    check::{Promise, Traces, Violation, check},
    client::Clients,
    figures::Sums,
    file,
    fleet::Fleet,
    full,
    history::Event,
    process::Settings,
    scenario::Scenario,
};

/// The lease of all stores.
pub(crate) const LEASE: Duration = Duration::from_secs(2);

/// The time that running jobs have after SIGTERM. Some do not end within it.
const GRACE: Duration = Duration::from_secs(1);

/// The number of processes on a file.
const PROCESSES: usize = 3;

/// The number of clients, each of which makes one call after the other.
const CLIENTS: usize = 6;

/// The number of faults in a round of the long run.
const FAULTS: usize = 12;

/// The time that jobs may take to end once the faults are over.
const SETTLING: Duration = Duration::from_secs(60);

/// The number of tries to kill a process at a certain moment.
const TRIES: usize = 5;

/// The number of keys that are repeated at the end.
const REPEATED: usize = 20;

/// The choices of a round, which its seed determines.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) scenarios: Vec<Scenario>,
}

impl Plan {
    /// Returns the plan of the round with this seed. Each fifth round fills the disk.
    pub(crate) fn of(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let scenarios = match seed % 5 {
            4 => vec![Scenario::Full],
            _ => (0..FAULTS).map(|_| Scenario::random(&mut rng)).collect(),
        };
        Self { seed, scenarios }
    }
}

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

/// Runs a round in an empty directory. The directory is removed unless a promise was broken, or the
/// files are to be kept.
pub(crate) async fn run(
    plan: Plan,
    directory: PathBuf,
    keep: bool,
    stop: Arc<AtomicBool>,
) -> anyhow::Result<Outcome> {
    fs::create_dir_all(&directory)?;
    let was_full = plan.scenarios.contains(&Scenario::Full);
    let disk = was_full.then(|| full::Disk::new(&directory)).transpose()?;
    let store = match &disk {
        Some(disk) => disk.path().join("jobs.db"),
        None => directory.join("jobs.db"),
    };
    let mut round = Round::new(plan.seed, &store, &directory);
    match &disk {
        Some(disk) => full::run(&mut round, disk).await?,
        None => round.faults(&plan.scenarios, &stop).await?,
    }
    round.settle().await;
    round.audit().await;
    if let Err(error) = round.fleet.close().await {
        round.broken(Promise::CleanEnd, error.to_string());
    }
    round.violations.extend(file::check(&store).await?);
    let outcome = round.outcome(was_full);
    if outcome.violations.is_empty() && !keep {
        drop(disk);
        fs::remove_dir_all(&directory)?;
    } else {
        let violations = outcome
            .violations
            .iter()
            .map(|broken| format!("{broken}\n"));
        fs::write(
            directory.join("violations.txt"),
            violations.collect::<String>(),
        )?;
        fs::write(
            directory.join("history.txt"),
            round.fleet.history.to_string(),
        )?;
        if let Some(disk) = disk {
            disk.keep(&directory)?;
        }
    }
    Ok(outcome)
}

impl Round {
    fn new(seed: u64, store: &Path, directory: &Path) -> Self {
        let settings = Settings {
            lease: LEASE,
            grace: GRACE,
            max_bytes: Arc::new(AtomicU64::new(0)),
        };
        let log = directory.join("processes.log");
        let fleet = Fleet::new(store, &log, settings, PROCESSES);
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

    /// Makes the faults, while clients make calls.
    async fn faults(&mut self, scenarios: &[Scenario], stop: &AtomicBool) -> anyhow::Result<()> {
        let first = self.fleet.start_one(0)?;
        self.pause(40).await;
        first.kill(Scenario::Migration);
        first.ended().await;
        self.fleet.start();
        self.all_listening().await;
        let is_over = Arc::new(AtomicBool::new(false));
        for _ in 0..CLIENTS {
            self.start_client(is_over.clone());
        }
        for scenario in scenarios {
            if stop.load(Ordering::Relaxed) {
                break;
            }
            if let Err(error) = self.fault(*scenario).await {
                self.broken(Promise::CleanEnd, error.to_string());
            }
            self.pause(1200).await;
        }
        is_over.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Waits until all processes listen.
    pub(crate) async fn all_listening(&self) {
        for slot in 0..self.fleet.len() {
            self.fleet.listening(slot).await;
        }
    }

    /// Waits for a random time up to this one.
    async fn pause(&mut self, millis: u64) {
        sleep(Duration::from_millis(self.rng.u64(0..=millis))).await;
    }

    fn slot(&mut self) -> usize {
        self.rng.usize(0..self.fleet.len())
    }

    /// Starts a client that makes calls until the faults are over.
    fn start_client(&mut self, is_over: Arc<AtomicBool>) {
        let mut rng = self.rng.fork();
        let (calls, clients) = (self.calls.clone(), self.clients.clone());
        self.under_way.spawn(async move {
            while !is_over.load(Ordering::Relaxed) {
                let work = Call::any_work(&mut rng);
                let call = noted(&calls, |number| Call::random(number, work, &mut rng));
                clients.call(call).await;
            }
        });
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

    async fn fault(&mut self, scenario: Scenario) -> anyhow::Result<()> {
        let slot = self.slot();
        let fleet = self.fleet.clone();
        match scenario {
            Scenario::Any | Scenario::Migration | Scenario::Full => {
                self.pause(1000).await;
                fleet.process(slot).await.kill(scenario);
            }
            Scenario::Acceptance if self.rng.bool() => {
                self.start_call(|number, rng| Call {
                    is_async: true,
                    ..Call::random(number, Work::Run, rng)
                });
                self.pause(6).await;
                fleet.process(slot).await.kill(scenario);
            }
            Scenario::Acceptance => self.kill_at(scenario, Work::Run, false, 5).await,
            Scenario::Finish => self.kill_at(scenario, Work::Run, true, 5).await,
            Scenario::Chunks => self.kill_at(scenario, Work::Large, true, 500).await,
            Scenario::StartUp => {
                let old = fleet.listening(slot).await;
                old.kill(scenario);
                old.ended().await;
                let new = fleet.process(slot).await;
                self.pause(60).await;
                new.kill(scenario);
            }
            Scenario::All => {
                for slot in 0..fleet.len() {
                    fleet.process(slot).await.kill(scenario);
                }
            }
            Scenario::Pause => {
                let process = fleet.listening(slot).await;
                fleet.note_stopped(slot, true);
                process.stop();
                sleep(LEASE + Duration::from_millis(self.rng.u64(500..2000))).await;
                process.proceed();
                fleet.note_stopped(slot, false);
            }
            Scenario::Terminate => {
                let process = fleet.listening(slot).await;
                fleet.terminate(&process, Some(scenario)).await?;
            }
            Scenario::TerminateTwice => {
                let between = Duration::from_millis(self.rng.u64(0..300));
                let process = fleet.listening(slot).await;
                fleet.terminate_twice(&process, between).await?;
            }
            Scenario::Clock => {
                let mut hour = || if self.rng.bool() { 3600 } else { -3600 };
                let (first, second) = (hour(), hour());
                fleet.listening(slot).await.shift(first).await;
                let other = self.slot();
                fleet.set_offset(other, second);
                fleet.process(other).await.kill(scenario);
            }
            Scenario::Poison => {
                let from = fleet.history.len();
                let call = self.start_call(|number, rng| Call {
                    is_keyed: true,
                    ..Call::random(number, Work::Poison, rng)
                });
                self.event(from, |event| match event {
                    Event::Run(run) if run.number == call.number => Some(()),
                    _ => None,
                })
                .await;
            }
        }
        Ok(())
    }

    /// Makes a call, and kills its process within this time after its run begins or its handler
    /// returns. If the process has died before, it tries again.
    async fn kill_at(&mut self, scenario: Scenario, work: Work, returned: bool, millis: u64) {
        for _ in 0..TRIES {
            let from = self.fleet.history.len();
            let call = self.start_call(|number, rng| {
                let mut call = Call::random(number, work, rng);
                call.task.millis = 100;
                call.is_async = true;
                call
            });
            let process = self.event(from, |event| match event {
                Event::Run(run) if !returned && run.number == call.number => Some(run.process),
                Event::Returned { process, number } if returned && *number == call.number => {
                    Some(*process)
                }
                _ => None,
            });
            let Some(id) = process.await else { continue };
            self.pause(millis).await;
            let process = self.fleet.find(id);
            if process.is_some_and(|process| process.kill(scenario)) {
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
    async fn settle(&mut self) {
        while self.under_way.join_next().await.is_some() {}
    }

    /// Polls each job until it has ended, and repeats some keys.
    async fn audit(&mut self) {
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

    fn outcome(&mut self, was_full: bool) -> Outcome {
        let events = self.fleet.history.events();
        let calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        let mut violations = std::mem::take(&mut self.violations);
        violations.extend(check(&events, &calls, was_full));
        Outcome {
            seed: self.seed,
            sums: Sums::of(&events, &calls, was_full),
            violations,
        }
    }
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
