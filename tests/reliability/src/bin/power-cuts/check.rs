//! The check of a store after a power cut.

use std::{collections::HashSet, fmt, fs, path::Path};

use anyhow::{Context, Result};
use http_polling::JobState;
use rusqlite::Connection;
use tower_async_job_core::{
    ClaimQuery, Created, Detail, JobId, JobRecord, JobStore, RecordedOutcome, Task,
};
use tower_async_job_sqlite::SqliteStore;

use crate::{
    acknowledged::{Acknowledged, Step, Steps},
    disk::Files,
    jobs::{Course, Job, Jobs},
    load::FILE,
};

/// A promise that a store has not kept.
#[derive(Debug)]
pub(crate) struct Loss {
    /// The number of the job, or `None` for all of them.
    pub(crate) job: Option<u32>,
    reason: String,
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.job {
            Some(number) => write!(f, "job {number}: {}", self.reason),
            None => f.write_str(&self.reason),
        }
    }
}

/// Statements that count what must not be there, after any whole number of transactions.
const NONE_OF: [(&str, &str); 4] = [
    (
        "keys without a job",
        "SELECT count(*) FROM keys WHERE job NOT IN (SELECT key FROM jobs)",
    ),
    (
        "parts without a job",
        "SELECT count(*) FROM parts WHERE job NOT IN (SELECT key FROM jobs)",
    ),
    (
        "chunks of a run without its note",
        "SELECT count(*) FROM chunks WHERE (job, epoch) NOT IN (SELECT job, epoch FROM bodies)",
    ),
    (
        "jobs later than the mark of the clock",
        "SELECT count(*) FROM jobs \
         WHERE max(created, coalesce(started, 0), coalesce(ended, 0)) > (SELECT mark FROM store)",
    ),
];

/// Writes files to a folder.
pub(crate) fn write(files: &Files, folder: &Path) -> Result<()> {
    for (name, contents) in files {
        fs::write(folder.join(name), contents)?;
    }
    Ok(())
}

/// Opens the store in a folder, and returns what it has lost.
pub(crate) async fn check(folder: &Path, jobs: Jobs, known: &Acknowledged) -> Vec<Loss> {
    let path = folder.join(FILE);
    let mut losses = Losses::default();
    let store = match SqliteStore::builder().readers(1).open(&path).await {
        Ok(store) => store,
        Err(error) => {
            losses.add(None, format!("the store cannot be opened: {error:?}"));
            return losses.0;
        }
    };
    let check = Check { store, jobs };
    let mut present = HashSet::new();
    let mut queued = HashSet::new();
    for (number, steps) in (0..).zip(&known.0) {
        let job = jobs.job(number);
        match check.job(job, *steps).await {
            Ok(None) => {}
            Ok(Some(record)) => {
                present.insert(record.id);
                if record.state == JobState::Queued {
                    queued.insert(record.id);
                }
            }
            Err(error) => losses.add(Some(number), format!("{error:#}, {steps:?}")),
        }
    }
    if losses.0.is_empty() {
        check
            .claims(queued)
            .await
            .unwrap_or_else(|error| losses.add(None, format!("{error:#}")));
    }
    let raw = raw(&path, jobs, known);
    raw.unwrap_or_else(|error| losses.add(None, format!("{error:#}")));
    losses.0
}

#[derive(Default)]
struct Losses(Vec<Loss>);

impl Losses {
    fn add(&mut self, job: Option<u32>, reason: String) {
        self.0.push(Loss { job, reason });
    }
}

/// Checks the file by SQLite alone.
fn raw(path: &Path, jobs: Jobs, known: &Acknowledged) -> Result<()> {
    let connection = Connection::open(path)?;
    let sound: String = connection.query_row("PRAGMA integrity_check", [], |row| row.get(0))?;
    anyhow::ensure!(sound == "ok", "the file is damaged: {sound}");
    for (what, count) in NONE_OF {
        let count: i64 = connection.query_row(count, [], |row| row.get(0))?;
        anyhow::ensure!(count == 0, "there are {count} {what}");
    }
    let mut statement = connection.prepare("SELECT id FROM jobs")?;
    let ids = statement.query_map([], |row| row.get::<_, [u8; 16]>(0))?;
    for id in ids {
        let id = JobId::from_bits(u128::from_be_bytes(id?));
        let job = jobs
            .find(&id)
            .context("there is a job that was never submitted")?;
        let steps = known
            .0
            .get(job.number as usize)
            .copied()
            .unwrap_or_default();
        let is_submitted = steps.has_begun(Step::Create);
        anyhow::ensure!(is_submitted, "{job:?} is there before it was submitted");
    }
    Ok(())
}

struct Check {
    store: SqliteStore,
    jobs: Jobs,
}

impl Check {
    /// Checks one job, and returns it if it is there.
    async fn job(&self, job: Job, steps: Steps) -> Result<Option<JobRecord>> {
        let record = self.store.read(&job.id(), Detail::Full).await?;
        let state = record.as_ref().map(|record| record.state);
        anyhow::ensure!(may_be(job, steps, state), "it is {state:?}");
        self.key(job, steps, state).await?;
        let Some(record) = record else {
            return Ok(None);
        };
        if !record.state.is_final() {
            let attempt = record.attempt;
            anyhow::ensure!(attempt >= steps.claims, "it has begun {attempt} runs");
            let is_reported = record.progress.is_some() && record.partial.is_some();
            anyhow::ensure!(
                is_reported || !steps.has(Step::Report),
                "its report is gone"
            );
        }
        if record.state == JobState::Done {
            self.result(job, &record).await?;
        }
        Ok(Some(record))
    }

    /// Checks that the idempotency key of a job leads to it.
    async fn key(&self, job: Job, steps: Steps, state: Option<JobState>) -> Result<()> {
        let Some(key) = job.key() else {
            return Ok(());
        };
        match self.store.look_up(Some(&job.principal()), &key).await? {
            Some(Created::Existing(found)) if found.id == job.id() => {}
            None if state.is_none() && !steps.has(Step::Create) => {}
            found => anyhow::bail!("its key leads to {found:?}"),
        }
        Ok(())
    }

    /// Checks the bytes of a result.
    async fn result(&self, job: Job, record: &JobRecord) -> Result<()> {
        let head = match &record.outcome {
            Some(RecordedOutcome::Response(head) | RecordedOutcome::Head(head)) => head,
            outcome => anyhow::bail!("its outcome is {outcome:?}"),
        };
        anyhow::ensure!(*head == job.response(), "its result is another one");
        let chunks = job.chunks();
        let result = record.result.context("it has no result")?;
        let count = (!chunks.is_empty()).then_some(chunks.len() as u32);
        anyhow::ensure!(result.chunks == count, "it has {:?} chunks", result.chunks);
        for (index, chunk) in (0..).zip(chunks) {
            let stored = self.store.read_chunk(&result, index).await?;
            anyhow::ensure!(stored == Some(chunk), "its chunk {index} is another one");
        }
        Ok(())
    }

    /// Checks that the queued jobs can be claimed, with their requests.
    async fn claims(&self, mut queued: HashSet<JobId>) -> Result<()> {
        for claim in self.store.claim(&ClaimQuery::new(1000)).await?.jobs {
            let id = claim.lease.id;
            anyhow::ensure!(
                queued.remove(&id),
                "{id:?} is claimable, and was not queued"
            );
            let job = self.jobs.find(&id).context("a foreign job is claimable")?;
            let is_its = matches!(&claim.task, Task::Run(request) if *request == job.request());
            anyhow::ensure!(is_its, "{job:?} has another request");
        }
        anyhow::ensure!(queued.is_empty(), "{} jobs cannot be claimed", queued.len());
        Ok(())
    }
}

/// Returns whether a job may be in a state, or be absent, after these steps.
fn may_be(job: Job, steps: Steps, state: Option<JobState>) -> bool {
    let has = |step| steps.has(step);
    let may_have = |step| steps.has_begun(step);
    match state {
        Some(JobState::Queued | JobState::Running) => {
            may_have(Step::Create) && !has(Step::Finish) && !has(Step::Cancel)
        }
        Some(JobState::Done) => may_have(Step::Finish) && !has(Step::Remove),
        Some(JobState::Cancelled) => may_have(Step::Cancel),
        // After its retention, or with a key that still counts.
        None | Some(JobState::Expired) => {
            let is_over = job.course() == Course::Brief && may_have(Step::Finish);
            is_over || may_have(Step::Remove) || state.is_none() && !has(Step::Create)
        }
        Some(_) => false,
    }
}
