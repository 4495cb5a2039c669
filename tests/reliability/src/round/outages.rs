//! Faults of the links and servers, and the polls that are held meanwhile.

use std::time::Duration;

use tokio::{task::JoinSet, time::sleep};

use super::{Round, noted};
use crate::{
    calls::{Call, Work},
    history::{Event, ProcessId},
    links::Which,
    process::LEASE,
    scenario::Scenario,
    store::{Backend, blocking},
};

/// The longest time for which a server is down, in milliseconds.
const DOWN: u64 = 3000;

/// The polls that are held at once, for the time until they are answered.
const HELD: usize = 8;

impl Round {
    /// Makes a fault of the links or servers.
    pub(super) async fn disturb(&mut self, scenario: Scenario) -> anyhow::Result<()> {
        let fleet = self.fleet.clone();
        let slot = self.slot();
        let all: Vec<_> = (0..fleet.len()).collect();
        match scenario {
            Scenario::Cut => self.cut(&[slot], scenario).await,
            Scenario::CutAll => self.cut(&all, scenario).await,
            Scenario::HalfOpen => self.half_open(&[slot], scenario).await,
            Scenario::HalfOpenAll => self.half_open(&all, scenario).await,
            Scenario::Deaf => {
                self.note_disturbed(None, scenario);
                for slot in &all {
                    fleet.links(*slot).cut(Which::Notifications).await;
                }
                // The processes notice it.
                sleep(Duration::from_millis(500)).await;
                self.wakes(false).await;
                for slot in &all {
                    fleet.links(*slot).heal().await;
                }
                self.fleet.history.push(Event::Healed(None));
            }
            _ => {
                self.note_disturbed(None, scenario);
                self.server(move |backend| backend.begin(scenario)).await?;
                self.pause(DOWN).await;
                self.server(move |backend| backend.end(scenario)).await?;
                self.fleet.history.push(Event::Healed(None));
            }
        }
        Ok(())
    }

    /// Does something to the servers, which blocks.
    pub(crate) async fn server<T: Send + 'static>(
        &self,
        what: impl FnOnce(&dyn Backend) -> anyhow::Result<T> + Send + 'static,
    ) -> anyhow::Result<T> {
        let backend = self.fleet.backend.clone();
        blocking(move || what(&*backend)).await
    }

    /// Shifts the time of the servers, which all processes go by.
    pub(super) async fn shift(&self, seconds: i64) -> anyhow::Result<()> {
        self.note_disturbed(None, Scenario::Clock);
        self.server(move |backend| backend.shift(seconds)).await?;
        sleep(2 * LEASE).await;
        self.fleet.history.push(Event::Healed(None));
        Ok(())
    }

    /// Cuts links, for a moment or some time.
    async fn cut(&mut self, slots: &[usize], scenario: Scenario) {
        let process = self.disturbed(slots);
        self.note_disturbed(process, scenario);
        for slot in slots {
            self.fleet.links(*slot).cut(Which::All).await;
        }
        if self.rng.bool() {
            self.pause(DOWN).await;
        }
        self.heal(slots, process).await;
    }

    /// Lets links carry nothing beyond the lease. Then they are cut, or what was sent meanwhile
    /// arrives late.
    async fn half_open(&mut self, slots: &[usize], scenario: Scenario) {
        let process = self.disturbed(slots);
        self.note_disturbed(process, scenario);
        for slot in slots {
            self.fleet.links(*slot).half_open();
        }
        sleep(LEASE + Duration::from_millis(self.rng.u64(500..2000))).await;
        if self.rng.bool() {
            for slot in slots {
                self.fleet.links(*slot).cut(Which::All).await;
            }
        }
        self.heal(slots, process).await;
    }

    async fn heal(&self, slots: &[usize], process: Option<ProcessId>) {
        for slot in slots {
            self.fleet.links(*slot).heal().await;
        }
        self.fleet.history.push(Event::Healed(process));
    }

    /// Returns the process in the slot, or none if all are concerned.
    fn disturbed(&self, slots: &[usize]) -> Option<ProcessId> {
        match slots {
            [slot] => self.fleet.id(*slot),
            _ => None,
        }
    }

    pub(super) fn note_disturbed(&self, process: Option<ProcessId>, scenario: Scenario) {
        let event = Event::Disturbed(process, scenario);
        self.fleet.history.push(event);
    }

    /// Makes calls whose polls are held by other processes than those that run them.
    pub(super) async fn wakes(&mut self, is_notified: bool) {
        let mut held = JoinSet::new();
        for _ in 0..HELD {
            let rng = &mut self.rng;
            let call = noted(&self.calls, |number| {
                let mut call = Call::random(number, Work::Run, rng);
                call.task.millis = rng.u64(200..700);
                (call.is_async, call.is_keyed) = (true, false);
                call
            });
            let clients = self.clients.clone();
            held.spawn(async move { clients.held(call, is_notified).await });
        }
        while held.join_next().await.is_some() {}
    }
}
