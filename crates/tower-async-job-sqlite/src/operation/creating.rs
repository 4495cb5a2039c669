//! Jobs that are created, or discarded.

use rusqlite::ffi;
use tower_async_job_core::{
    Created, Detail, IdempotencyKey, Lease, NewJob, Principal, QueueLimit, Start, StoreError,
};

use crate::{
    connection::UNLIMITED,
    job::{Job, State, key_of, owner_hash},
    time::to_day,
    transaction::{Failure, Snapshot, Step, Transaction},
};

/// Stores a new job, unless its id or its key is taken.
pub(crate) fn create(transaction: &Transaction<'_>, new: &NewJob) -> Step<Created> {
    if let Some(job) = Job::find_by_key(transaction, key_of(&new.id))? {
        if job.state != State::Void || job.due > transaction.now {
            let repeats = job.id() == new.id && repeats(transaction, &job, new)?;
            let repeated = repeats.then(|| answer(new, &job));
            return repeated.ok_or_else(|| StoreError::conflict().into());
        }
        job.delete(transaction)?;
    }
    let key = new.idempotency.as_ref();
    let digest = key.map(|key| (key, key.digest(new.principal.as_ref())));
    if let Some((key, digest)) = &digest
        && let Some(found) = of_key(transaction, digest, key)?
    {
        return Ok(found);
    }
    check_queue(transaction, new)?;
    check_room(transaction, new.result_room)?;
    let job = Job::create(transaction, new)?;
    if let Some((key, digest)) = &digest {
        let sql = "INSERT OR REPLACE INTO keys (digest, job, fingerprint) VALUES (?, ?, ?)";
        transaction.execute(sql, (digest, job.key, key.fingerprint()))?;
    }
    Ok(answer(new, &job))
}

/// Checks that a new job may wait for its run, if it does.
fn check_queue(snapshot: &Snapshot<'_>, new: &NewJob) -> Step<()> {
    if new.start == Start::Running || new.queue_limit == QueueLimit::NONE {
        return Ok(());
    }
    let waiting: Option<u32> = snapshot.one("SELECT waiting FROM store WHERE one = 1", [])?;
    let own = new.principal.as_ref().map(|principal| {
        let sql = "SELECT jobs FROM waiting WHERE owner_hash = ?";
        let own: Option<u32> = snapshot.one(sql, [owner_hash(Some(principal))])?;
        Ok::<_, Failure>(own.unwrap_or(0) as usize)
    });
    (new.queue_limit).check(waiting.unwrap_or(0) as usize, own.transpose()?)?;
    Ok(())
}

/// Checks that a result of this length would find room in a file whose size is limited. Results that are
/// under way take none yet, so that those of several jobs at once may find less.
fn check_room(snapshot: &Snapshot<'_>, bytes: usize) -> Step<()> {
    if bytes == 0 {
        return Ok(());
    }
    let figure = |sql| Ok::<_, Failure>(snapshot.one::<u32>(sql, [])?.unwrap_or(0));
    let most = figure("PRAGMA max_page_count")?;
    if most >= UNLIMITED {
        return Ok(());
    }
    let page = figure("PRAGMA page_size")?.max(512) as usize;
    let used = figure("PRAGMA page_count")?.saturating_sub(figure("PRAGMA freelist_count")?);
    let free = most.saturating_sub(used) as usize;
    if bytes / page < free {
        return Ok(());
    }
    let full = ffi::Error::new(ffi::SQLITE_FULL);
    let reason = "its result would find no room".to_owned();
    Err(Failure::Sql(rusqlite::Error::SqliteFailure(
        full,
        Some(reason),
    )))
}

fn answer(new: &NewJob, job: &Job) -> Created {
    let created = to_day(job.created_day);
    match new.start {
        Start::Offered => Created::Offered { created },
        _ => Created::New {
            lease: new.first_lease(),
            created,
        },
    }
}

/// Returns whether a create repeats the one of this job, and its answer still holds.
fn repeats(snapshot: &Snapshot<'_>, job: &Job, new: &NewJob) -> Step<bool> {
    let holds = new.start == Start::Offered || job.is_held_by(&new.first_lease());
    let principal = new.principal.as_ref();
    let key = new.idempotency.as_ref();
    let digest = key.map(|key| key.digest(principal));
    let is_of_same = job.owner.principal() == principal || !job.is_pending();
    if !holds || job.handle() != new.handle || job.digest != digest || !is_of_same {
        return Ok(false);
    }
    let (Some(key), Some(digest)) = (key, digest) else {
        return Ok(true);
    };
    let sql = "SELECT fingerprint FROM keys WHERE digest = ? AND job = ?";
    let fingerprint: Option<[u8; 32]> = snapshot.one(sql, (digest, job.key))?;
    Ok(fingerprint.as_ref() == Some(key.fingerprint()))
}

/// Returns the answer to a create with a key that is taken.
pub(crate) fn look_up(
    snapshot: &Snapshot<'_>,
    principal: Option<&Principal>,
    key: &IdempotencyKey,
) -> Step<Option<Created>> {
    of_key(snapshot, &key.digest(principal), key)
}

fn of_key(
    snapshot: &Snapshot<'_>,
    digest: &[u8; 32],
    key: &IdempotencyKey,
) -> Step<Option<Created>> {
    let sql = "SELECT job, fingerprint FROM keys WHERE digest = ?";
    let read = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?));
    let Some((holder, fingerprint)) = snapshot.row(sql, [digest], read)? else {
        return Ok(None);
    };
    let fingerprint: [u8; 32] = fingerprint;
    let job = Job::find_by_key(snapshot, holder)?;
    let Some(job) = job.filter(|job| job.key_counts(snapshot.now)) else {
        return Ok(None);
    };
    if fingerprint != *key.fingerprint() {
        return Ok(Some(Created::KeyReused));
    }
    let record = job.record(snapshot, Detail::Status)?;
    Ok(record.map(|record| Created::Existing(Box::new(record))))
}

/// Deletes a job that was never announced, and voids a create in flight.
pub(crate) fn discard(transaction: &Transaction<'_>, lease: &Lease) -> Step<()> {
    let until = transaction.now.saturating_add(transaction.lease);
    match Job::find(transaction, &lease.id)? {
        None => Job::insert_void(transaction, &lease.id, until),
        Some(job) if job.state == State::Void || job.is_pending() && job.has_epoch(lease) => {
            job.edit(transaction, |job| job.become_void(transaction, until))
        }
        Some(_) => Err(StoreError::lease_lost().into()),
    }
}
