//! The load: a process that uses a store by all of its calls that change jobs.

use std::{
    ops::Range,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use clap::ValueEnum;
use rusqlite::Connection;
use tokio::task::JoinSet;
use tower_async_job_core::{
    ClaimQuery, Created, JobStore, Lease, Release, Released, SweepQuery, Task,
};
use tower_async_job_sqlite::SqliteStore;

use crate::{
    acknowledged::{Journal, Step},
    jobs::{CHUNK, Course, Job, Jobs, LONG},
};

/// The name of the file of the store.
pub(crate) const FILE: &str = "jobs.db";

/// The number of clients that change jobs at once.
const CLIENTS: usize = 8;

/// The changes that wait for the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Durability {
    /// All that must be durable, as by default.
    Full,
    /// Checkpoints, and no commits.
    Checkpoints,
    /// None.
    Nothing,
}

/// Opens a store, without leases that end during the load.
///
/// Pages are small in every other load, so that the store makes more checkpoints.
async fn open(folder: &Path, jobs: Jobs, durability: Durability) -> Result<SqliteStore> {
    let builder = SqliteStore::builder()
        .lease_duration(LONG)
        .operation_timeout(Duration::from_secs(60))
        .chunk_size(CHUNK)
        .page_size(if jobs.seed % 2 == 1 { 512 } else { 4096 })
        .readers(1);
    let builder = match durability {
        Durability::Full => builder,
        Durability::Checkpoints => builder.not_durable(true),
        Durability::Nothing => builder.not_durable(false),
    };
    Ok(builder.open(folder.join(FILE)).await?)
}

/// Runs this number of jobs. The store is closed and opened again meanwhile, and left open at the
/// end.
pub(crate) async fn run(
    folder: &Path,
    jobs: Jobs,
    count: u32,
    durability: Durability,
) -> Result<()> {
    let journal = Arc::new(Journal::create(folder)?);
    let part = count / 3;
    for numbers in [0..part, part..count] {
        let is_first = numbers.start == 0;
        let load = Load {
            store: Arc::new(open(folder, jobs, durability).await?),
            journal: Arc::clone(&journal),
            jobs,
        };
        let mut upkeep = JoinSet::new();
        upkeep.spawn(sweep(Arc::clone(&load.store)));
        if is_first {
            // Later, there are only those of the store.
            upkeep.spawn(checkpoint(folder.join(FILE), durability));
        }
        load.play_all(numbers).await?;
        if let Some(failed) = upkeep.try_join_next() {
            failed??;
        }
        if is_first {
            upkeep.shutdown().await;
            drop(load);
            // The file is closed in the background.
            tokio::time::sleep(Duration::from_millis(100)).await;
        } else {
            std::mem::forget(load);
        }
    }
    Ok(())
}

/// Makes checkpoints of all kinds, as another program, or as the store does in the midst of chunks:
/// only they wait for the disk, and no commits.
async fn checkpoint(file: PathBuf, durability: Durability) -> Result<()> {
    let connection = Connection::open(file)?;
    connection.busy_timeout(Duration::from_secs(5))?;
    let level = match durability {
        Durability::Nothing => "off",
        Durability::Full | Durability::Checkpoints => "normal",
    };
    connection.pragma_update(None, "synchronous", level)?;
    for mode in ["passive", "restart", "passive", "truncate"].iter().cycle() {
        tokio::time::sleep(Duration::from_millis(20)).await;
        let sql = format!("PRAGMA wal_checkpoint({mode})");
        connection.query_row(&sql, [], |_| Ok(()))?;
    }
    Ok(())
}

/// Sweeps.
async fn sweep(store: Arc<SqliteStore>) -> Result<()> {
    loop {
        store.sweep(&SweepQuery::default()).await?;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[derive(Clone)]
struct Load {
    store: Arc<SqliteStore>,
    journal: Arc<Journal>,
    jobs: Jobs,
}

impl Load {
    /// Runs these jobs, some at once.
    async fn play_all(&self, numbers: Range<u32>) -> Result<()> {
        let next = Arc::new(AtomicU32::new(numbers.start));
        let mut clients = JoinSet::new();
        for _ in 0..CLIENTS {
            let (load, next, end) = (self.clone(), Arc::clone(&next), numbers.end);
            clients.spawn(async move {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= end {
                        return anyhow::Ok(());
                    }
                    load.play(load.jobs.job(number)).await?;
                }
            });
        }
        while let Some(client) = clients.join_next().await {
            client??;
        }
        self.work().await
    }

    /// Makes a change, between two lines of the journal.
    async fn step<T>(
        &self,
        step: Step,
        job: Job,
        call: impl Future<Output = Result<T, tower_async_job_core::StoreError>>,
    ) -> Result<T> {
        self.journal.begin(step, job.number)?;
        let answer = call.await.with_context(|| format!("{step} of {job:?}"))?;
        self.journal.end(step, job.number)?;
        Ok(answer)
    }

    async fn play(&self, job: Job) -> Result<()> {
        let created = self
            .step(Step::Create, job, self.store.create(job.submission()))
            .await?;
        let lease = match (created, job.course()) {
            (Created::New { lease, .. }, _) => lease,
            (Created::Offered { .. }, Course::Offered) => {
                // Some are left to the others, or to the end.
                return match job.number % 3 {
                    0 => Ok(()),
                    _ => self.work().await,
                };
            }
            (created, course) => anyhow::bail!("{course:?}: {created:?}"),
        };
        let id = lease.id;
        match job.course() {
            Course::Pending => {
                let report = self.store.report(&lease, job.report());
                self.step(Step::Report, job, report).await?;
                self.store.renew(&[lease]).await?;
            }
            Course::Cancelled => {
                self.step(Step::Cancel, job, self.store.cancel(&id)).await?;
            }
            Course::Removed => {
                self.finish(job, lease).await?;
                self.step(Step::Remove, job, self.store.remove(&id)).await?;
            }
            _ => self.finish(job, lease).await?,
        }
        Ok(())
    }

    async fn finish(&self, job: Job, lease: Lease) -> Result<()> {
        for (index, chunk) in (0..).zip(job.chunks()) {
            self.store.write_chunk(&lease, index, chunk).await?;
        }
        let finish = self.store.finish(&lease, job.outcome().into());
        self.step(Step::Finish, job, finish).await
    }

    /// Claims and finishes jobs until there are none. The first run of some is released.
    async fn work(&self) -> Result<()> {
        loop {
            let claims = self.store.claim(&ClaimQuery::new(2)).await?.jobs;
            if claims.is_empty() {
                return Ok(());
            }
            for claim in claims {
                let job = self.jobs.find(&claim.lease.id).context("a foreign job")?;
                self.journal.end(Step::Claim, job.number)?;
                ensure!(matches!(claim.task, Task::Run(_)), "{:?}", claim.task);
                if claim.attempt == 1 && job.number.is_multiple_of(2) {
                    let leases = [claim.lease];
                    let released = self.store.release(&leases, Release::default()).await?;
                    ensure!(released == [Released::Queued], "{released:?}");
                } else {
                    self.finish(job, claim.lease).await?;
                }
            }
        }
    }
}
