//! The file of a round, after its processes have ended.

use std::{path::Path, time::Duration};

use anyhow::{Context, bail};
use rusqlite::{Connection, OpenFlags};
use tokio::time::sleep;
use tower_async_job::store::{JobStore, SweepQuery};
use tower_async_job_sqlite::SqliteStore;

use crate::{
    check::{Promise, Violation},
    server::{KEPT, ShiftedClock},
};

/// The tables that are empty when all jobs are gone.
const TABLES: [&str; 6] = ["jobs", "parts", "keys", "chunks", "bodies", "waiting"];

/// Checks that the file is sound, and that nothing is left in it after the retention.
pub(crate) async fn check(path: &Path) -> anyhow::Result<Vec<Violation>> {
    let broken = |text| vec![Violation::new(Promise::CleanFile, text)];
    let soundness = soundness(path)?;
    if soundness != "ok" {
        return Ok(broken(soundness));
    }
    // A job passes its deadline, then its retention, its tombstone, and the time of its chunks.
    for step in 1..=6 {
        sweep(path, KEPT * 2 * step).await?;
    }
    // The file is closed in the background.
    sleep(Duration::from_millis(50)).await;
    let connection = open(path)?;
    for table in TABLES {
        let sql = format!("SELECT count(*) FROM {table}");
        let rows: i64 = connection.query_row(&sql, [], |row| row.get(0))?;
        if rows > 0 {
            return Ok(broken(format!("{rows} rows are left in {table}")));
        }
    }
    Ok(Vec::new())
}

fn open(path: &Path) -> anyhow::Result<Connection> {
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    connection.busy_timeout(Duration::from_secs(5))?;
    Ok(connection)
}

fn soundness(path: &Path) -> anyhow::Result<String> {
    let sql = "SELECT group_concat(integrity_check) FROM pragma_integrity_check";
    let sound = open(path)?.query_row(sql, [], |row| row.get(0));
    sound.context("the file cannot be checked")
}

/// Opens the store that much later, and sweeps it until nothing is due.
async fn sweep(path: &Path, later: Duration) -> anyhow::Result<()> {
    let clock = ShiftedClock::ahead(later.as_secs().try_into()?);
    let store = SqliteStore::builder().clock(clock).open(path).await?;
    for _ in 0..10_000 {
        let upkeep = store.sweep(&SweepQuery::default()).await?;
        if upkeep.next != Some(Duration::ZERO) {
            return Ok(());
        }
    }
    bail!("the sweep does not end")
}
