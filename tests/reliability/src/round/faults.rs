//! The faults of a round, and the clients that make calls meanwhile.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::time::sleep;

use super::{Round, noted};
use crate::{
    calls::{Call, Work},
    check::Promise,
    history::Event,
    process::LEASE,
    scenario::Scenario,
};

/// The number of clients, each of which makes one call after the other.
const CLIENTS: usize = 6;

/// The number of tries to kill a process at a certain moment.
const TRIES: usize = 5;

impl Round {
    /// Makes the faults, while clients make calls.
    pub(crate) async fn faults(
        &mut self,
        scenarios: &[Scenario],
        stop: &AtomicBool,
    ) -> anyhow::Result<()> {
        let first = self.fleet.start_one(0)?;
        self.pause(40).await;
        first.kill(Scenario::Migration);
        first.ended().await;
        self.fleet.start();
        self.all_listening().await;
        self.wakes(true).await;
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

    /// Starts a client that makes calls until the faults are over.
    fn start_client(&mut self, is_over: Arc<AtomicBool>) {
        let mut rng = self.rng.fork();
        let (calls, clients) = (self.calls.clone(), self.clients.clone());
        self.under_way.spawn(async move {
            while !is_over.load(Ordering::Relaxed) {
                let work = Call::any_work(&mut rng);
                let call = noted(&calls, |number| Call::random(number, work, &mut rng));
                match !call.is_keyed && rng.bool() {
                    true => clients.plain(call, call.number % 2 == 0).await,
                    false => clients.call(call).await,
                }
            }
        });
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
            Scenario::Everyone => {
                for slot in 0..fleet.len() {
                    fleet.process(slot).await.kill(scenario);
                }
            }
            Scenario::Upstream => {
                self.pause(1000).await;
                self.kill_upstream(scenario).await;
            }
            Scenario::Both => {
                self.pause(1000).await;
                fleet.process(slot).await.kill(scenario);
                self.kill_upstream(scenario).await;
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
                if fleet.backend.kind().has_servers() {
                    return self.shift(first).await;
                }
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
            Scenario::Restore => self.restore().await?,
            Scenario::Upgrade => self.upgrade().await?,
            _ => self.disturb(scenario).await?,
        }
        Ok(())
    }

    async fn kill_upstream(&self, scenario: Scenario) {
        if let Some(slot) = self.fleet.upstream() {
            self.fleet.process(slot).await.kill(scenario);
        }
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

    /// Waits for a random time up to this one.
    pub(super) async fn pause(&mut self, millis: u64) {
        sleep(Duration::from_millis(self.rng.u64(0..=millis))).await;
    }

    pub(super) fn slot(&mut self) -> usize {
        self.rng.usize(0..self.fleet.nodes())
    }
}
