//! Reads, and the chunks of results.

use std::{collections::HashMap, time::Duration};

use bytes::Bytes;
use futures_util::future::join_all;
use redis::Value;
use tower_async_job_core::{
    CHUNKS_LINGER, Detail, JobId, JobRecord, Lease, ResultRef, StoreError, StoreLimit,
};

use super::leases::deliver;
use crate::{
    engine::{Engine, Seen, Wanted},
    job::{Parts, Row, State, newest_format, record},
    keys::{Set, shard_of},
    link::Reply,
    script::{READ_CHUNK, WRITE_CHUNK},
    time::{Micros, micros, of_day, span},
    value::{bytes, unexpected},
};

/// The maximum length of a result, in bytes.
pub(crate) const LARGEST_RESULT: usize = 16 << 20;

/// The number of jobs whose reads are sent together.
const READ_AT_ONCE: usize = 64;

/// Reads a job. One that this node has accepted and the store has lost is not unknown.
pub(crate) async fn read(
    engine: &Engine,
    id: &JobId,
    detail: Detail,
) -> Result<Option<JobRecord>, StoreError> {
    if let Some(delivery) = engine.notes.of(id) {
        deliver(engine, id, &delivery).await?;
        engine.notes.forget(id, &delivery);
    }
    let seen = engine.read((*id, detail)).await?;
    match &seen.record {
        Some(record) => engine.accepted.saw(record, seen.now),
        None if seen.is_void => engine.accepted.forget(id),
        None => return Ok(engine.accepted.missing(id, seen.now, engine.lease())),
    }
    Ok(seen.record)
}

/// Returns the time since the creation of a job, or `None` if it cannot be read.
pub(crate) async fn age(engine: &Engine, id: &JobId) -> Result<Option<Duration>, StoreError> {
    match engine.read((*id, Detail::Status)).await {
        Ok(seen) => {
            let created = seen.record.map(|record| of_day(record.created));
            Ok(created.map(|created| span(created, seen.now)))
        }
        Err(error) if error.is_corrupt() || error.is_unsupported_version() => Ok(None),
        Err(error) => Err(error),
    }
}

/// Reads jobs at once.
pub(crate) async fn read_all(
    engine: &Engine,
    wanted: Vec<Wanted>,
) -> HashMap<Wanted, Result<Seen, StoreError>> {
    let parts = wanted
        .chunks(READ_AT_ONCE)
        .map(|wanted| async move { (wanted, read_part(engine, wanted).await) });
    let mut all = HashMap::with_capacity(wanted.len());
    for (wanted, read) in join_all(parts).await {
        match read {
            Ok(read) => all.extend(read),
            Err(error) => all.extend(wanted.iter().map(|wanted| (*wanted, Err(error.clone())))),
        }
    }
    all
}

/// Reads jobs by plain commands, which cost the server less than a script.
///
/// A job may be changed between the reads of its row and its contents, so the row is read again after
/// them. If it has changed, the job is read again.
async fn read_part(
    engine: &Engine,
    wanted: &[Wanted],
) -> Result<Vec<(Wanted, Result<Seen, StoreError>)>, StoreError> {
    let (mut left, mut read) = (wanted.to_vec(), Vec::with_capacity(wanted.len()));
    while !left.is_empty() {
        let mut commands = redis::pipe();
        for (id, detail) in &left {
            let job = engine.keys.job(id);
            commands.cmd("GET").arg(&job);
            commands.cmd("HMGET").arg(engine.keys.parts(id));
            commands.arg(&["pg", "pa", "me"]);
            if *detail != Detail::Status {
                commands.arg("r");
            }
            commands.cmd("GET").arg(&job);
        }
        commands.cmd("TIME");
        engine.link.count("read");
        engine.await_permission_to_read().await;
        let mut answers = engine.reading.read_all(&commands).await?;
        let now = engine.settings.clock.read(answers.pop())?;
        let mut answers = answers.into_iter();
        let mut next = || answers.next().ok_or_else(unexpected);
        for wanted in std::mem::take(&mut left) {
            let (row, parts, again) = (next()?, next()?, next()?);
            if row == again {
                read.push((wanted, see(wanted.0, now, bytes(row), parts)));
            } else {
                left.push(wanted);
            }
        }
    }
    Ok(read)
}

/// Returns a job as it was read.
fn see(id: JobId, now: Micros, row: Option<Bytes>, parts: Value) -> Result<Seen, StoreError> {
    let mut seen = Seen {
        now,
        record: None,
        is_void: false,
    };
    if let Some(row) = row {
        let row = Row::read(id, &row)?;
        seen.record = record(&row, &Parts::read(parts)?, now)?;
        seen.is_void = row.state == State::Void || seen.record.is_none();
    }
    Ok(seen)
}

pub(crate) async fn write_chunk(
    engine: &Engine,
    lease: &Lease,
    index: u32,
    data: Bytes,
    chunk: usize,
) -> Result<(), StoreError> {
    let keys = vec![
        engine.keys.job(&lease.id),
        engine.keys.chunks(&lease.id, lease.epoch),
    ];
    let call = engine
        .call(&WRITE_CHUNK, keys)
        .number(lease.epoch)
        .number(newest_format())
        .number(LARGEST_RESULT / chunk)
        .number(index)
        .arg(data);
    let number = engine.data_of(&lease.id);
    let reply = Reply::new(engine.link.run(&call).await?)?;
    // A run may outlive a failover, and end its job after it.
    engine.make_durable(&lease.id, number).await?;
    match &*reply.status {
        "ok" => Ok(()),
        "full" => {
            let limit = StoreLimit::new("result", LARGEST_RESULT as u64);
            Err(StoreError::full().with_limit(limit).with_source(
                "larger results have to be kept in an object store, see `tower-async-job-offload`",
            ))
        }
        _ => Err(reply.error()),
    }
}

pub(crate) async fn read_chunk(
    engine: &Engine,
    result: &ResultRef,
    index: u32,
) -> Result<Option<Bytes>, StoreError> {
    let Lease { id, epoch } = result.lease;
    let keys = vec![
        engine.keys.chunks(&id, epoch),
        engine.keys.set(shard_of(&id), Set::Due).to_owned(),
    ];
    let call = engine
        .call(&READ_CHUNK, keys)
        .arg(format!("c:{}:{epoch}", id.encode()))
        .number(micros(CHUNKS_LINGER))
        .number(index);
    let mut reply = Reply::new(engine.link.run(&call).await?)?;
    Ok(bytes(reply.next()))
}
