//! Changes that wait until they are durable.

use std::collections::HashMap;

use redis::Value;
use tower_async_job_core::{ReadBatch, StoreError};

use crate::{
    keys::Keys,
    link::Link,
    settings::Durability,
    value::{list, number},
};

/// A script that writes a key. A full server refuses only the first write of a script, and no deletion.
const MARK: &str = "redis.call('UNLINK', KEYS[1]) redis.call('SET', KEYS[1], '')";

/// The confirmations of the servers, one batch for all changes that wait, on a connection of its
/// own, since the server answers nothing else on it meanwhile.
#[derive(Debug, Default)]
pub(crate) struct Flush(ReadBatch<(), ()>);

impl Flush {
    /// Waits until all changes of this group of shards that were made before are durable.
    pub(crate) async fn wait(&self) -> Result<(), StoreError> {
        self.0.read(()).await.map(|_| ())
    }

    /// Asks for confirmations.
    pub(crate) async fn run(
        &self,
        link: &Link,
        keys: &Keys,
        shard: usize,
        how: Durability,
        timeout: u64,
    ) {
        self.0
            .run(async |_| confirm(link, keys, shard, how, timeout).await)
            .await;
    }
}

async fn confirm(
    link: &Link,
    keys: &Keys,
    shard: usize,
    how: Durability,
    timeout: u64,
) -> Result<HashMap<(), ()>, StoreError> {
    let mut commands = redis::pipe();
    // The server confirms the writes of this connection, and all that were made before.
    commands.cmd("EVAL").arg(MARK).arg(1).arg(keys.mark(shard));
    if how.flush {
        commands
            .cmd("WAITAOF")
            .arg(1)
            .arg(how.replicas)
            .arg(timeout);
    } else {
        commands.cmd("WAIT").arg(how.replicas).arg(timeout);
    }
    let answers = link.send_all(&commands).await?;
    let answer = answers.into_iter().nth(1).unwrap_or(Value::Nil);
    let (flushed, replicas) = if how.flush {
        let mut numbers = list(answer)?.into_iter().map(number);
        let mut next = || numbers.next().unwrap_or(Ok(0));
        (next()? > 0, next()?)
    } else {
        (true, number(answer)?)
    };
    if !flushed || replicas < i64::from(how.replicas) {
        return Err(StoreError::unavailable(format!(
            "the change is not yet durable: flushed {flushed}, on {replicas} replicas"
        )));
    }
    Ok(HashMap::from([((), ())]))
}
