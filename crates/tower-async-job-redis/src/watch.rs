//! The tasks of an open store.

use std::{collections::HashMap, sync::Arc};

use futures_util::future::{join_all, select};
use tokio::{
    task::{JoinSet, yield_now},
    time::sleep,
};
use tower_async_job_core::{JobHandle, JobId, StoreError};

use crate::{
    engine::{Engine, WORK},
    events,
    keys::Set,
    link::Link,
    operation,
    script::{PENDING, WORK as IS_WORK},
    settings::Durability,
    value::{list, number},
};

/// The number of jobs that one script checks.
const CHECKED_AT_ONCE: usize = 500;

/// Spawns the tasks, which end when the set is dropped.
pub(crate) fn spawn(engine: &Arc<Engine>, feed: Link, flush: Link) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    let node = JobHandle::random().to_string();
    for group in 0..engine.groups().len() {
        let engine = Arc::clone(engine);
        tasks.spawn(async move {
            let reads = engine.reads(group);
            let read = async |wanted| Ok(operation::read_all(&engine, wanted).await);
            match reads.run_gathering(yield_now, read).await {}
        });
    }
    let counter = Arc::clone(engine);
    tasks.spawn(async move {
        let count = async |owners| operation::waiting(&counter, owners).await;
        match counter.waiting.run(count).await {}
    });
    let durability = engine.settings.durability;
    if durability != Durability::default() {
        let flush = Arc::new(flush);
        let timeout = engine.settings.operation_timeout.as_millis() as u64;
        for (group, shards) in engine.groups().iter().enumerate() {
            let (engine, flush, shard) = (Arc::clone(engine), Arc::clone(&flush), shards.start);
            tasks.spawn(async move {
                let waits = engine.flush(group);
                waits
                    .run(&flush, &engine.keys, shard, durability, timeout)
                    .await;
            });
        }
    }
    let (sender, name) = (Arc::clone(engine), node.clone());
    tasks.spawn(async move { events::send(&sender, &name).await });
    let receiver = Arc::clone(engine);
    tasks.spawn(async move { events::receive(&receiver, &feed, &node).await });
    let watcher = Arc::clone(engine);
    tasks.spawn(async move { recheck(&watcher).await });
    let writer = Arc::clone(engine);
    tasks.spawn(async move {
        loop {
            for (id, delivery) in writer.notes.arrived().await {
                if let Err(error) = operation::deliver(&writer, &id, &delivery).await {
                    tracing::debug!(%error, "a delivery could not be noted");
                }
                writer.notes.forget(&id, &delivery);
            }
        }
    });
    tasks
}

/// Checks the subscriptions in an interval, and when events are missing.
async fn recheck(engine: &Engine) {
    let pause = || async {
        let due = sleep(engine.settings.fallback);
        select(Box::pin(engine.feed.recheck()), Box::pin(due)).await;
    };
    engine.waiters.recheck(pause, |ids| over(engine, ids)).await;
}

/// Returns those of the watched jobs that are no longer pending.
async fn over(engine: &Engine, ids: Vec<JobId>) -> Result<Vec<JobId>, StoreError> {
    let mut by_group: HashMap<usize, Vec<JobId>> = HashMap::new();
    let mut over = Vec::new();
    for id in ids {
        if id == WORK {
            if is_work(engine).await? {
                over.push(WORK);
            }
        } else {
            by_group
                .entry(engine.group_of_job(&id))
                .or_default()
                .push(id);
        }
    }
    let parts = by_group
        .values()
        .flat_map(|ids| ids.chunks(CHECKED_AT_ONCE));
    let checks = parts.map(|ids| async move {
        let keys = ids.iter().map(|id| engine.keys.job(id));
        let states = list(engine.link.run(&engine.call(&PENDING, keys)).await?)?;
        let mut over = Vec::new();
        for (id, state) in ids.iter().zip(states) {
            if number(state)? == 0 {
                over.push(*id);
            }
        }
        Ok::<_, StoreError>(over)
    });
    for part in join_all(checks).await {
        over.extend(part?);
    }
    Ok(over)
}

async fn is_work(engine: &Engine) -> Result<bool, StoreError> {
    let answers = engine
        .for_groups(|shards| {
            let keys = engine.keys.sets(shards, &[Set::Ready, Set::Notify]);
            engine.call(&IS_WORK, keys)
        })
        .await?;
    for answer in answers {
        if number(answer)? != 0 {
            return Ok(true);
        }
    }
    Ok(false)
}
