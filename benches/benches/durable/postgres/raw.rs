//! The peer: batched statements on the same schema.
//!
//! Its statements are those that the life of a job needs at least, prepared, each for all operations
//! that have gathered while those before them were under way. Unlike the store, it reads nothing
//! before it writes, sends no notification, and sends prepared statements, which a pool in transaction
//! mode may not know.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};
use tokio_postgres::{
    Client, NoTls, Statement,
    types::{ToSql, Type},
};

use super::NAME;
use crate::{
    Outcome, PAYLOAD,
    place::{Peer, Pending},
};

/// The maximum number of operations of a statement.
const BATCH: usize = 256;

/// The connections, each with a statement under way. More were slower.
const CONNECTIONS: usize = 2;

/// The id of a job, and the call that waits for its operation.
type Operation = (String, oneshot::Sender<()>);

/// Connections. Dropping it closes them.
pub(super) struct Raw {
    creates: mpsc::Sender<Operation>,
    finishes: mpsc::Sender<Operation>,
}

impl Raw {
    pub(super) async fn connect(url: &str) -> Outcome<Self> {
        let create = format!(
            "WITH n AS (SELECT unnest($1::text[])::uuid AS id), moment AS (SELECT {NAME}.job_now() AS now), \
             j AS (INSERT INTO {NAME}.jobs (id, handle, epoch, reports, lease_until, due, deadline, \
             created, started, keep, tombstone, route_hash, owner_hash, attempt, max_attempts, \
             request_len, format, state, protocol, pending_status, owner_kind, request_format, leased, \
             route) SELECT id, ('x' || left(id::text, 8))::bit(32)::bigint, 1, 0, now + 30000000, \
             now + 30000000, now + 3600000000, now, now, 3600000000, 3600000000, 7, 0, 1, 3, \
             octet_length($2::bytea), 1, 1, 0, 0, 0, 1, true, '/report' FROM n, moment ORDER BY id) \
             INSERT INTO {NAME}.requests SELECT id, $2::bytea FROM n"
        );
        let finish = format!(
            "WITH n AS (SELECT unnest($1::text[])::uuid AS id), moment AS (SELECT {NAME}.job_now() AS now), \
             o AS MATERIALIZED (SELECT id FROM {NAME}.jobs WHERE id IN (SELECT id FROM n) AND epoch = 1 \
             AND state < 2 ORDER BY id FOR NO KEY UPDATE), \
             j AS (UPDATE {NAME}.jobs AS j SET state = 2, leased = false, lease_until = NULL, \
             ended = now, due = now + 3600000000, request_len = NULL, request_format = NULL, \
             body_len = octet_length($2::bytea) FROM o, moment WHERE j.id = o.id RETURNING j.id), \
             r AS (INSERT INTO {NAME}.results SELECT id, $2::bytea FROM j) \
             DELETE FROM {NAME}.requests WHERE job IN (SELECT id FROM j)"
        );
        let mut queues = Vec::new();
        for sql in [create, finish] {
            let (sender, queue) = mpsc::channel(4096);
            let queue = Arc::new(tokio::sync::Mutex::new(queue));
            for _ in 0..CONNECTIONS {
                let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
                tokio::spawn(connection);
                let types = [Type::TEXT_ARRAY, Type::BYTEA];
                let statement = client.prepare_typed(&sql, &types).await?;
                tokio::spawn(send(client, statement, queue.clone()));
            }
            queues.push(sender);
        }
        let finishes = queues.pop().expect("two");
        let creates = queues.pop().expect("two");
        Ok(Self { creates, finishes })
    }
}

/// Sends a statement for all that has gathered, until the queue is closed.
async fn send(
    client: Client,
    statement: Statement,
    queue: Arc<tokio::sync::Mutex<mpsc::Receiver<Operation>>>,
) {
    let mut batch = Vec::new();
    loop {
        let gathered = queue.lock().await.recv_many(&mut batch, BATCH).await;
        if gathered == 0 {
            return;
        }
        let (ids, answers): (Vec<_>, Vec<_>) = batch.drain(..).unzip();
        let parameters: [&(dyn ToSql + Sync); 2] = [&ids, &&PAYLOAD[..]];
        let changed = client.execute(&statement, &parameters).await;
        assert_eq!(changed.expect("a valid statement"), ids.len() as u64);
        for answer in answers {
            let _ = answer.send(());
        }
    }
}

impl Peer for Raw {
    fn live(&self) -> Pending<'_, ()> {
        Box::pin(async {
            // Ids are random, as those of jobs are.
            let id = format!("{:032x}", rand::random::<u128>());
            for queue in [&self.creates, &self.finishes] {
                let (answer, answered) = oneshot::channel();
                let operation = (id.clone(), answer);
                queue.send(operation).await.expect("it is open");
                answered.await.expect("it is committed");
            }
        })
    }
}
