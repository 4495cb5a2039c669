//! Changes that wait until they are durable.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use redis::{Pipeline, Value};
use tower_async_job_core::{ReadBatch, StoreError};

use crate::{
    keys::Keys,
    link::Link,
    settings::Durability,
    value::{list, number, text},
};

/// A script that writes a key. A full server refuses only the first write of a script, and no deletion.
/// It returns the name of the server's data, which is another one after a restart or a failover.
const MARK: &str = "redis.call('UNLINK', KEYS[1]) redis.call('SET', KEYS[1], '') \
                    local info = redis.pcall('INFO', 'replication') \
                    return type(info) == 'string' and info:match('master_replid:(%x+)') or ''";

/// The confirmations of the servers, one batch for all changes that wait, on a connection of its
/// own, since the server answers nothing else on it meanwhile.
#[derive(Debug, Default)]
pub(crate) struct Flush {
    waits: ReadBatch<u64, ()>,
    data: Mutex<Data>,
}

/// The data of the server that has confirmed last.
#[derive(Debug, Default)]
struct Data {
    name: String,
    /// The number of times that it was another one. A change that was made before is not confirmed,
    /// since it may be lost.
    number: u64,
}

impl Flush {
    /// Returns the number of the data that a change will be part of.
    pub(crate) fn number(&self) -> u64 {
        self.data().number
    }

    /// Waits until all changes of this group of shards that were made before are durable, of which
    /// the first was sent after the data had this number.
    pub(crate) async fn wait(&self, number: u64) -> Result<(), StoreError> {
        let replaced = || {
            let reason = "the server was replaced before it confirmed the change";
            StoreError::unavailable(reason)
        };
        self.waits.read(number).await?.ok_or_else(replaced)
    }

    fn data(&self) -> MutexGuard<'_, Data> {
        self.data.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes the name of the server's data; returns their number.
    fn see(&self, link: &Link, name: String) -> u64 {
        let mut data = self.data();
        if !name.is_empty() && name != data.name {
            if !data.name.is_empty() {
                // Changes with the next number must not be sent to the former server.
                link.note_other_server();
                data.number += 1;
            }
            data.name = name;
        }
        data.number
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
        // Without an answer, the name is learned by the first confirmation.
        if let Ok(answers) = link.send_all(&mark(keys, shard)).await {
            self.see(link, name_of(&answers));
        }
        let confirm = async |_| {
            let name = confirm(link, keys, shard, how, timeout).await?;
            Ok(HashMap::from([(self.see(link, name), ())]))
        };
        self.waits.run(confirm).await;
    }
}

fn mark(keys: &Keys, shard: usize) -> Pipeline {
    let mut commands = redis::pipe();
    commands.cmd("EVAL").arg(MARK).arg(1).arg(keys.mark(shard));
    commands
}

/// Returns the name of the server's data, by the answers to the mark and others.
fn name_of(answers: &[Value]) -> String {
    let name = answers.first().cloned().map(text);
    name.and_then(Result::ok).unwrap_or_default()
}

/// Asks for the confirmation of all changes; returns the name of the server's data.
async fn confirm(
    link: &Link,
    keys: &Keys,
    shard: usize,
    how: Durability,
    timeout: u64,
) -> Result<String, StoreError> {
    // The server confirms the writes of this connection, and all that were made before.
    let mut commands = mark(keys, shard);
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
    let name = name_of(&answers);
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
    Ok(name)
}
