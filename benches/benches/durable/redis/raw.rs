//! The peer: pipelined commands that keep the same data.
//!
//! They are those that the life of a job needs at least. Unlike the store, they look at nothing
//! before they write, and are not one step: a server that dies may have performed a part of them.

use std::sync::atomic::{AtomicUsize, Ordering};

use redis::{AsyncConnectionConfig, aio::MultiplexedConnection};

use crate::{
    Outcome, PAYLOAD,
    place::{Peer, Pending},
};

/// The number of connections, which calls take in turn, as those of the store do. Of each, the server
/// reads 16 KiB between two flushes.
const CONNECTIONS: usize = 4;

pub(super) struct Raw {
    connections: Vec<MultiplexedConnection>,
    next: AtomicUsize,
}

impl Raw {
    pub(super) async fn connect(url: &str) -> Outcome<Self> {
        let config = AsyncConnectionConfig::new().set_response_timeout(None);
        let client = redis::Client::open(url)?;
        let mut connections = Vec::new();
        for _ in 0..CONNECTIONS {
            let connection = client.get_multiplexed_async_connection_with_config(&config);
            connections.push(connection.await?);
        }
        Ok(Self {
            connections,
            next: AtomicUsize::new(0),
        })
    }
}

impl Peer for Raw {
    fn live(&self) -> Pending<'_, ()> {
        Box::pin(async {
            // Ids are random, as those of jobs are.
            let id = rand::random::<u128>();
            let shard = id >> 122;
            let id = format!("{id:032x}");
            let handle = &id[..16];
            let key = |kind: &str| format!("raw:{{{shard}}}:{kind}");
            let (job, parts) = (key(&format!("j:{id}")), key(&format!("p:{id}")));
            let (list, handles, counts) = (key("list"), key("handles"), key("counts"));
            let (leases, due, events) = (key("leases"), key("due"), key("events"));
            let now = 1_800_000_000_000_000_u64;
            let next = self.next.fetch_add(1, Ordering::Relaxed);
            let mut connection = self.connections[next % CONNECTIONS].clone();
            redis::pipe()
                .hset(&parts, "q", &PAYLOAD[..])
                .ignore()
                .hset_multiple(
                    &job,
                    &[
                        ("f", "1"),
                        ("st", "1"),
                        ("hl", "1"),
                        ("ep", "1"),
                        ("at", "1"),
                        ("ma", "3"),
                        ("rp", "0"),
                        ("du", "1800000030000000"),
                        ("dl", "1800003600000000"),
                        ("cr", "1800000000000000"),
                        ("sd", "1800000000000000"),
                        ("kp", "3600000000"),
                        ("tm", "3600000000"),
                        ("pr", "0"),
                        ("ps", "0"),
                        ("h", handle),
                        ("rt", "/report"),
                        ("rh", "0000000000000007"),
                        ("oh", ""),
                        ("qf", "1"),
                        ("ql", "1100"),
                    ],
                )
                .ignore()
                .zadd(&list, format!("{handle}{id}"), now)
                .ignore()
                .hset(&handles, handle, &id)
                .ignore()
                .hincr(&counts, "p", 1)
                .ignore()
                .zadd(&leases, &id, now + 30_000_000)
                .ignore()
                .exec_async(&mut connection)
                .await
                .expect("room");
            redis::pipe()
                .hset(&parts, "r", &PAYLOAD[..])
                .ignore()
                .hdel(&parts, "q")
                .ignore()
                .hset_multiple(
                    &job,
                    &[
                        ("st", "2"),
                        ("hl", "0"),
                        ("en", "1800000001000000"),
                        ("du", "1800003601000000"),
                        ("bl", "1024"),
                    ],
                )
                .ignore()
                .hdel(&job, &["qf", "ql"])
                .ignore()
                .hincr(&counts, "p", -1)
                .ignore()
                .zrem(&leases, &id)
                .ignore()
                .zadd(&due, &id, now + 3_601_000_000)
                .ignore()
                .xadd_maxlen(
                    &events,
                    redis::streams::StreamMaxlen::Approx(1000),
                    "*",
                    &[("id", &id)],
                )
                .ignore()
                .exec_async(&mut connection)
                .await
                .expect("room");
        })
    }
}
