//! The task that sends events.

use std::{
    sync::{Arc, PoisonError},
    time::Duration,
};

use tokio::time::{sleep, timeout};
use tokio_postgres::types::{ToSql, Type};

use super::{Feed, message};
use crate::database::{Database, Retry};

/// The least time between two notifications, since each commit of one waits for all others.
const PAUSE: Duration = Duration::from_millis(5);

const NOTIFY: &str = "SELECT pg_notify($1, payload)::text FROM unnest($2) AS payload";

impl Feed {
    /// Sends events as they happen, by the listening connection, or by any other if there is none.
    pub(crate) async fn send(self: Arc<Self>, database: Arc<Database>) {
        loop {
            self.arrival.notified().await;
            let payloads = self.payloads();
            // A lost notification is found by the checks of the nodes that wait.
            let _ = self.notify_by(&payloads, &database).await;
            sleep(PAUSE).await;
        }
    }

    fn payloads(&self) -> Vec<String> {
        let mut outgoing = self.outgoing.lock().unwrap_or_else(PoisonError::into_inner);
        let outgoing = std::mem::take(&mut *outgoing);
        if outgoing.is_everything {
            return vec![message::everything(self.node)];
        }
        let hashes: Vec<_> = outgoing.hashes.into_iter().collect();
        message::hashes(self.node, &hashes)
    }

    async fn notify_by(&self, payloads: &[String], database: &Database) -> Option<()> {
        let parameters: [(&(dyn ToSql + Sync), Type); 2] =
            [(&self.channel, Type::TEXT), (&payloads, Type::TEXT_ARRAY)];
        let own = self.own.borrow().clone();
        if let Some(own) = own {
            let sent = timeout(database.timeout(), own.query_typed(NOTIFY, &parameters)).await;
            if matches!(sent, Ok(Ok(_))) {
                return Some(());
            }
        }
        let sent = database.query(NOTIFY, &parameters, Retry::Always).await;
        sent.ok().map(drop)
    }

    /// Sends a probe by another connection than the listening one; returns whether it was sent.
    pub(super) async fn probe(&self, database: &Database) -> bool {
        let payloads = [message::probe(self.node)];
        let parameters: [(&(dyn ToSql + Sync), Type); 2] = [
            (&self.channel, Type::TEXT),
            (&&payloads[..], Type::TEXT_ARRAY),
        ];
        let sent = database.query(NOTIFY, &parameters, Retry::Always).await;
        sent.is_ok()
    }
}
