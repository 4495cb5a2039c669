//! Stores that return to a backup.

use tokio::time::sleep;

use super::Round;
use crate::{history::Event, process::LEASE, scenario::Scenario};

impl Round {
    /// Takes a backup, lets some time pass, and returns to it.
    ///
    /// The store is away for longer than the lease, so that each run of before has ended, or has no
    /// lease that it trusts. The processes go on, if the store is in servers; a file has none while it
    /// is replaced.
    pub(super) async fn restore(&mut self) -> anyhow::Result<()> {
        let fleet = self.fleet.clone();
        fleet.history.push(Event::BackedUp);
        self.server(|backend| backend.back_up()).await?;
        self.pause(3000).await;
        self.note_disturbed(None, Scenario::Restore);
        let has_servers = fleet.backend.kind().has_servers();
        let suspended = match has_servers {
            true => None,
            false => Some(fleet.suspend(Scenario::Restore).await),
        };
        if has_servers {
            self.server(|backend| backend.begin(Scenario::Restore))
                .await?;
        }
        sleep(LEASE * 5 / 4).await;
        // Answers that are still on their way to clients belong to the time before.
        fleet.history.push(Event::Restored);
        self.server(|backend| backend.restore()).await?;
        if has_servers {
            self.server(|backend| backend.end(Scenario::Restore))
                .await?;
        }
        drop(suspended);
        fleet.history.push(Event::Healed(None));
        Ok(())
    }
}
