//! The events by which nodes wake each other.
//!
//! Nodes append the ids of jobs that have ended to one stream, in batches, and each node waits for
//! the next ones by one blocking read, however many polls wait. Entries have consecutive numbers from
//! 0, so that a reader notices if some are missing.

use std::time::Duration;

use redis::Value;
use tokio::time::sleep;
use tower_async_job_core::{JobId, StoreError};

use crate::{
    engine::Engine,
    link::Link,
    value::{bytes, list, text},
};

/// The time for which one read waits for events.
pub(crate) const BLOCK: Duration = Duration::from_secs(2);

/// The time until the next read after one has failed.
const PAUSE: Duration = Duration::from_millis(100);

/// The approximate number of entries that are kept.
const KEPT: usize = 1000;

/// Sends the events of this node, in its name.
pub(crate) async fn send(engine: &Engine, node: &str) {
    loop {
        engine.feed.arrived().await;
        loop {
            let ids = engine.feed.take();
            if ids.is_empty() {
                break;
            }
            let data: Vec<u8> = ids
                .iter()
                .flat_map(|id| id.to_bits().to_be_bytes())
                .collect();
            let mut command = redis::cmd("XADD");
            command
                .arg(engine.keys.events())
                .arg("MAXLEN")
                .arg("~")
                .arg(KEPT);
            command.arg("1-*").arg(node).arg(data);
            if let Err(error) = engine.link.send(&command).await {
                tracing::debug!(%error, "events could not be sent; other nodes find them later");
            }
        }
    }
}

/// Receives the events of other nodes.
pub(crate) async fn receive(engine: &Engine, link: &Link, node: &str) {
    let mut reader = Reader {
        engine,
        link,
        node,
        next: None,
    };
    loop {
        if let Err(error) = reader.read().await {
            tracing::debug!(%error, "events could not be received");
            reader.next = None;
            sleep(PAUSE).await;
        }
    }
}

struct Reader<'a> {
    engine: &'a Engine,
    link: &'a Link,
    node: &'a str,
    /// The number of the next entry. `None` after a failure.
    next: Option<u64>,
}

impl Reader<'_> {
    /// Reads once, and notifies.
    async fn read(&mut self) -> Result<(), StoreError> {
        let key = self.engine.keys.events();
        let Some(next) = self.next else {
            self.next = Some(self.tail().await?);
            self.engine.feed.ask_recheck();
            return Ok(());
        };
        // A read returns what is behind an entry, and before the first there is none of its kind.
        let behind = match next.checked_sub(1) {
            Some(latest) => format!("1-{latest}"),
            None => "0-0".to_owned(),
        };
        let mut command = redis::cmd("XREAD");
        command
            .arg("COUNT")
            .arg(100)
            .arg("BLOCK")
            .arg(BLOCK.as_millis() as u64);
        command.arg("STREAMS").arg(key).arg(behind);
        // The link ends a read that does not return, and replaces the connection.
        match self.link.send(&command).await? {
            Value::Nil => {
                if self.tail().await? < next {
                    // A failover has lost entries, and their numbers are given again.
                    self.next = None;
                }
                Ok(())
            }
            streams => self.handle(streams, next),
        }
    }

    /// Returns the number behind the latest entry of the stream.
    async fn tail(&self) -> Result<u64, StoreError> {
        let mut command = redis::cmd("XREVRANGE");
        command
            .arg(self.engine.keys.events())
            .arg("+")
            .arg("-")
            .arg("COUNT")
            .arg(1);
        let entry = list(self.link.send(&command).await?)?.into_iter().next();
        entry.map_or(Ok(0), |entry| Ok(Entry::read(entry)?.number + 1))
    }

    fn handle(&mut self, streams: Value, mut next: u64) -> Result<(), StoreError> {
        let is_deaf = self.engine.feed.is_deaf();
        for stream in list(streams)? {
            let entries = list(stream)?.into_iter().nth(1).unwrap_or(Value::Nil);
            for entry in list(entries)? {
                let entry = Entry::read(entry)?;
                let is_next = entry.number == std::mem::replace(&mut next, entry.number + 1);
                if is_deaf {
                    continue;
                }
                if !is_next {
                    self.engine.feed.ask_recheck();
                }
                if entry.node != self.node {
                    for id in entry
                        .data
                        .chunks_exact(16)
                        .filter_map(|id| id.try_into().ok())
                    {
                        let id = JobId::from_bits(u128::from_be_bytes(id));
                        self.engine.waiters.notify(&id);
                    }
                }
            }
        }
        self.next = Some(next);
        Ok(())
    }
}

/// An entry of the stream.
struct Entry {
    number: u64,
    /// The node that has sent it.
    node: String,
    data: Vec<u8>,
}

impl Entry {
    fn read(value: Value) -> Result<Self, StoreError> {
        let mut parts = list(value)?.into_iter();
        let mut next = || parts.next().unwrap_or(Value::Nil);
        let id = text(next())?;
        let mut fields = list(next())?.into_iter();
        let mut next = || fields.next().unwrap_or(Value::Nil);
        let number = id
            .split_once('-')
            .and_then(|(_, number)| number.parse().ok());
        Ok(Self {
            number: number.ok_or_else(|| StoreError::unavailable("an event has no number"))?,
            node: text(next())?,
            data: bytes(next()).unwrap_or_default().to_vec(),
        })
    }
}
