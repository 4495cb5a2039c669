//! Upgrades, one process after the other, and the way back.

use std::{net::SocketAddr, time::Duration};

use anyhow::{Context, bail};
use http::StatusCode;
use http_polling::JobState;
use tokio::time::sleep;

use super::{Round, noted};
use crate::{
    calls::{Call, Work},
    check::Promise,
    scenario::Scenario,
};

/// The slot of a process that is upgraded first, and of one that stays.
const FIRST: usize = 1;
const STAYS: usize = 0;

/// The tries to submit a job to a busy process.
const TRIES: usize = 5;

/// The polls of a job until it has ended.
const POLLS: usize = 40;

impl Round {
    /// Upgrades each second process, rolls them back, and upgrades all.
    ///
    /// Processes of this version leave the jobs of the next one alone, whose records and messages
    /// have newer formats: their polls get 503. These jobs end on processes of the next version.
    pub(super) async fn upgrade(&mut self) -> anyhow::Result<()> {
        let some = (FIRST..self.fleet.len()).step_by(2);
        self.server(|store| store.migrate()).await?;
        self.change(some.clone(), true).await?;
        let (call, job) = self.newer_job().await?;
        // While it is pending, and once it has ended.
        self.is_left_alone(call, &job).await;
        self.end_at(call, &job, FIRST).await?;
        self.is_left_alone(call, &job).await;
        self.pause(1500).await;
        self.change(some, false).await?;
        self.is_left_alone(call, &job).await;
        self.pause(1500).await;
        self.change(0..self.fleet.len(), true).await?;
        let state = self.end_at(call, &job, STAYS).await?;
        if state != Some(JobState::Done) {
            let text = format!(
                "after the upgrade, the job of call {} is {state:?}",
                call.number
            );
            self.broken(Promise::LeftAlone, text);
        }
        Ok(())
    }

    /// Replaces processes by those of a version, one after the other.
    async fn change(
        &self,
        slots: impl Iterator<Item = usize>,
        is_newer: bool,
    ) -> anyhow::Result<()> {
        for slot in slots {
            let process = self.fleet.listening(slot).await;
            self.fleet.set_newer(slot, is_newer);
            let upgraded = self.fleet.terminate(&process, Some(Scenario::Upgrade));
            upgraded.await?;
            self.fleet.listening(slot).await;
        }
        Ok(())
    }

    /// Lets a process of the next version accept a job.
    async fn newer_job(&mut self) -> anyhow::Result<(Call, String)> {
        let address = self.address(FIRST).await?;
        for _ in 0..TRIES {
            let rng = &mut self.rng;
            let call = noted(&self.calls, |number| {
                let mut call = Call::random(number, Work::Run, rng);
                (call.is_async, call.is_keyed) = (true, false);
                call
            });
            if let Some(job) = self.clients.submit(call, address).await {
                return Ok((call, job));
            }
        }
        bail!("the next version accepts no job");
    }

    /// Waits for the end of a job, as a process sees it.
    async fn end_at(&self, call: Call, job: &str, slot: usize) -> anyhow::Result<Option<JobState>> {
        let address = self.address(slot).await?;
        for _ in 0..POLLS {
            let look = self.clients.look_at(call, job, Some(address), "wait=0");
            match look.await {
                Some((_, Some(state))) if state.is_final() => return Ok(Some(state)),
                _ => sleep(Duration::from_millis(200)).await,
            }
        }
        Ok(None)
    }

    /// Checks that a process of this version serves no job of the next one.
    async fn is_left_alone(&mut self, call: Call, job: &str) {
        let Ok(address) = self.address(STAYS).await else {
            return;
        };
        let look = self.clients.look_at(call, job, Some(address), "wait=0");
        if let Some((status, _)) = look.await
            && status != StatusCode::SERVICE_UNAVAILABLE
        {
            let text = format!("{status} for the newer job of call {}", call.number);
            self.broken(Promise::LeftAlone, text);
        }
    }

    async fn address(&self, slot: usize) -> anyhow::Result<SocketAddr> {
        let process = self.fleet.listening(slot).await;
        process.address().context("the process listens")
    }
}
