//! The processes of a round, which share a store and are started again when they end.

use std::{
    mem,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::ensure;
use tokio::{
    sync::{OwnedRwLockWriteGuard, RwLock},
    task::JoinSet,
    time::{sleep, timeout},
};

use crate::{
    history::{History, ProcessId},
    links::Links,
    process::{Process, Settings},
    program::{Program, Variant},
    scenario::Scenario,
    store::Backend,
};

/// The time that a process may take beyond its grace.
const SLOW: Duration = Duration::from_secs(8);

/// The longest time before a process is started again, in milliseconds.
const PAUSE: u64 = 300;

/// The processes of a round.
#[derive(Debug)]
pub(crate) struct Fleet {
    pub(crate) backend: Arc<dyn Backend>,
    pub(crate) history: Arc<History>,
    pub(crate) settings: Settings,
    log: PathBuf,
    programs: Vec<Program>,
    links: Vec<Links>,
    slots: Vec<Mutex<Slot>>,
    keepers: Mutex<JoinSet<()>>,
    /// Held while a process is started.
    gate: Arc<RwLock<()>>,
    next: AtomicU32,
    is_closing: AtomicBool,
}

/// A process, or the next one in its place.
#[derive(Debug)]
struct Slot {
    process: Option<Arc<Process>>,
    /// It is stopped, so that a load balancer would leave it out.
    is_stopped: bool,
    /// The next one.
    next: Variant,
}

impl Fleet {
    pub(crate) async fn new(
        backend: Arc<dyn Backend>,
        log: &Path,
        settings: Settings,
        programs: &[Program],
    ) -> Arc<Self> {
        let mut links = Vec::new();
        for _ in programs {
            links.push(Links::new(&backend.servers()).await);
        }
        let slot = |program: &Program| {
            Mutex::new(Slot {
                process: None,
                is_stopped: false,
                next: Variant {
                    program: program.clone(),
                    offset: 0,
                    is_newer: false,
                },
            })
        };
        Arc::new(Self {
            backend,
            history: Arc::new(History::new()),
            settings,
            log: log.to_owned(),
            programs: programs.to_owned(),
            links,
            slots: programs.iter().map(slot).collect(),
            keepers: Mutex::default(),
            gate: Arc::default(),
            next: AtomicU32::new(0),
            is_closing: AtomicBool::new(false),
        })
    }

    /// Starts one process that is not started again.
    pub(crate) fn start_one(&self, slot: usize) -> anyhow::Result<Process> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let next = self.slot(slot).next.clone();
        let place = self.backend.place(&self.links[slot].addresses());
        let directory = self.log.parent().unwrap_or(Path::new(""));
        let command = next.command(id, &place, &self.settings, directory)?;
        Process::start(id, command, &self.log, &self.history)
    }

    /// Keeps all processes running until the fleet is closed.
    pub(crate) fn start(self: &Arc<Self>) {
        let mut keepers = self.keepers.lock().unwrap_or_else(PoisonError::into_inner);
        for slot in 0..self.slots.len() {
            keepers.spawn(self.clone().keep(slot));
        }
    }

    async fn keep(self: Arc<Self>, slot: usize) {
        while !self.is_closing.load(Ordering::Relaxed) {
            let gate = self.gate.read().await;
            match self.start_one(slot) {
                Ok(process) => {
                    let process = Arc::new(process);
                    self.slot(slot).process = Some(process.clone());
                    drop(gate);
                    process.ended().await;
                    let mut slot = self.slot(slot);
                    slot.process = None;
                    slot.is_stopped = false;
                }
                Err(error) => eprintln!("error: {error:#}"),
            }
            sleep(Duration::from_millis(fastrand::u64(0..PAUSE))).await;
        }
    }

    /// Kills all processes, and starts no others until the guard is dropped.
    pub(crate) async fn suspend(&self, scenario: Scenario) -> OwnedRwLockWriteGuard<()> {
        let guard = self.gate.clone().write_owned().await;
        for slot in 0..self.len() {
            let process = self.slot(slot).process.clone();
            if let Some(process) = process {
                process.kill(scenario);
                process.ended().await;
            }
        }
        guard
    }

    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    /// Returns the number of processes that share the store. Their slots are the first ones.
    pub(crate) fn nodes(&self) -> usize {
        self.upstream().unwrap_or(self.len())
    }

    /// Returns the slot of the server behind gateways.
    pub(crate) fn upstream(&self) -> Option<usize> {
        self.programs.iter().position(Program::is_upstream)
    }

    /// Returns the links of the process in a slot, and of those that follow it.
    pub(crate) fn links(&self, slot: usize) -> &Links {
        &self.links[slot]
    }

    /// Returns the addresses of the processes that answer clients.
    pub(crate) fn addresses(&self) -> Vec<SocketAddr> {
        let slots = (0..self.slots.len()).filter(|slot| self.programs[*slot].has_clients());
        let living = slots
            .map(|slot| self.slot(slot))
            .filter(|slot| !slot.is_stopped);
        living
            .filter_map(|slot| slot.process.as_ref()?.address())
            .collect()
    }

    /// Returns the number of the process in a slot.
    pub(crate) fn id(&self, slot: usize) -> Option<ProcessId> {
        Some(self.slot(slot).process.as_ref()?.id)
    }

    /// Returns the process with this number, if it is in its place.
    pub(crate) fn find(&self, id: ProcessId) -> Option<Arc<Process>> {
        let mut slots = (0..self.slots.len()).map(|slot| self.slot(slot).process.clone());
        slots.find_map(|process| process.filter(|process| process.id == id))
    }

    /// Returns the process in a slot, also one that does not listen yet.
    pub(crate) async fn process(&self, slot: usize) -> Arc<Process> {
        loop {
            if let Some(process) = self.slot(slot).process.clone() {
                return process;
            }
            sleep(Duration::from_millis(1)).await;
        }
    }

    /// Returns a process in a slot that listens.
    pub(crate) async fn listening(&self, slot: usize) -> Arc<Process> {
        loop {
            let process = self.process(slot).await;
            if process.listening().await && !process.has_ended() {
                return process;
            }
            process.ended().await;
            sleep(Duration::from_millis(1)).await;
        }
    }

    /// Sets whether the process in a slot is stopped.
    pub(crate) fn note_stopped(&self, slot: usize, is_stopped: bool) {
        self.slot(slot).is_stopped = is_stopped;
    }

    /// Sets the seconds by which the clock of the next process in a slot is ahead.
    pub(crate) fn set_offset(&self, slot: usize, seconds: i64) {
        self.slot(slot).next.offset = seconds;
    }

    /// Sets whether the next process in a slot is of the next version.
    pub(crate) fn set_newer(&self, slot: usize, is_newer: bool) {
        self.slot(slot).next.is_newer = is_newer;
    }

    /// Terminates a process. Fails if it takes longer than its grace.
    pub(crate) async fn terminate(
        &self,
        process: &Process,
        scenario: Option<Scenario>,
    ) -> anyhow::Result<()> {
        let begun = Instant::now();
        process.terminate(scenario);
        let is_ended = process.ended_within(self.settings.grace + SLOW).await;
        ensure!(
            is_ended,
            "process {} has not ended {:?} after SIGTERM",
            process.id,
            begun.elapsed()
        );
        Ok(())
    }

    /// Terminates a process twice, with this time in between. Fails if it takes long.
    pub(crate) async fn terminate_twice(
        &self,
        process: &Process,
        between: Duration,
    ) -> anyhow::Result<()> {
        process.terminate(None);
        sleep(between).await;
        process.terminate(Some(Scenario::TerminateTwice));
        ensure!(
            process.ended_within(SLOW).await,
            "process {} has not ended after the second SIGTERM",
            process.id
        );
        Ok(())
    }

    /// Terminates all processes, and starts no more. Fails if some take longer than their grace.
    pub(crate) async fn close(&self) -> anyhow::Result<()> {
        self.is_closing.store(true, Ordering::Relaxed);
        let mut closed = Ok(());
        for slot in 0..self.slots.len() {
            let process = self.slot(slot).process.clone();
            if let Some(process) = process {
                // It may be starting.
                let _ = timeout(SLOW, process.listening()).await;
                closed = closed.and(self.terminate(&process, None).await);
            }
        }
        let keepers = mem::take(&mut *self.keepers.lock().unwrap_or_else(PoisonError::into_inner));
        keepers.join_all().await;
        closed
    }

    fn slot(&self, slot: usize) -> MutexGuard<'_, Slot> {
        self.slots[slot]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
