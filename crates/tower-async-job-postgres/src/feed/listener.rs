//! The task that listens to other nodes, by one connection, however many subscriptions there are.

use std::{
    future::poll_fn,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_postgres::AsyncMessage;

use super::{
    Feed,
    message::{self, Event},
};
use crate::{
    database::{Address, Database},
    error::{ConnectError, full_text},
};

/// The time between two probes.
const PROBED: Duration = Duration::from_secs(10);

/// The time within which a probe arrives.
const ANSWERED: Duration = Duration::from_secs(3);

/// The time until a connection is tried again: at first, and by which it grows.
const PAUSE: Duration = Duration::from_millis(100);

/// The time until listening is tried again where it was in vain, as behind PgBouncer.
const IN_VAIN: Duration = Duration::from_secs(60);

/// The number of failures in a row after which they are logged.
const LOGGED: u32 = 3;

/// The reason why a connection was given up.
#[derive(Debug)]
enum Lost {
    /// It could not be opened.
    Unopened(ConnectError),
    Closed,
    /// It was open, but notifications did not arrive.
    Silent,
    /// As before, from the beginning.
    Deaf,
}

impl Feed {
    /// Listens to the events of other nodes, and listens again whenever the connection is lost.
    /// If it `is_shared`, the address is that of all connections: those that hear notifications are
    /// sessions of the server.
    pub(crate) async fn listen(
        self: Arc<Self>,
        address: Address,
        is_shared: bool,
        database: Arc<Database>,
    ) {
        let mut failures = 0;
        let mut is_told = false;
        loop {
            let lost = self.listen_once(&address, is_shared, &database).await;
            database.set_sessions(false);
            let was_alive = self.own.send_replace(None).is_some();
            failures = if was_alive { 0 } else { (failures + 1).min(6) };
            match lost {
                Lost::Deaf => {
                    if !is_told {
                        is_told = true;
                        tracing::warn!(
                            "notifications of PostgreSQL do not arrive, so that other nodes' \
                             changes are noticed up to a second later; behind PgBouncer, set \
                             `listen_url` to the address of the server itself"
                        );
                    }
                    sleep(IN_VAIN).await;
                    continue;
                }
                Lost::Unopened(error) if failures == LOGGED => {
                    tracing::warn!(
                        error = full_text(&error),
                        "the connection for notifications of PostgreSQL cannot be opened, so that \
                         other nodes' changes are noticed up to a second later"
                    );
                }
                Lost::Unopened(_) | Lost::Closed | Lost::Silent => {}
            }
            sleep(PAUSE * 2_u32.pow(failures)).await;
        }
    }

    async fn listen_once(&self, address: &Address, is_shared: bool, database: &Database) -> Lost {
        let limit = database.timeout();
        let connecting = timeout(limit, address.config.connect(address.tls.clone()));
        let (client, mut connection) = match connecting.await {
            Ok(Ok(connected)) => connected,
            Ok(Err(error)) => return Lost::Unopened(ConnectError::of_connect(error).at(address)),
            Err(_) => return Lost::Unopened(ConnectError::timed_out().at(address)),
        };
        let client = Arc::new(client);
        let command = format!("LISTEN {}", self.channel);
        let mut listening = Box::pin(timeout(limit, client.batch_execute(&command)));
        // The connection makes progress only while it is polled.
        let mut is_listening = false;
        let mut probing = None;
        let mut answer_due = None;
        let mut next_probe = Instant::now();
        loop {
            let wake = answer_due.unwrap_or(next_probe);
            tokio::select! {
                message = poll_fn(|context| connection.poll_message(context)) => match message {
                    Some(Ok(AsyncMessage::Notification(notification))) => {
                        if self.receive(notification.payload()) {
                            answer_due = None;
                            if self.own.borrow().is_none() {
                                self.own.send_replace(Some(Arc::clone(&client)));
                                database.set_sessions(is_shared);
                                // Changes of the meantime were not heard.
                                self.notify_all();
                            }
                        }
                    }
                    Some(Ok(_)) => {}
                    Some(Err(_)) | None => return Lost::Closed,
                },
                listened = &mut listening, if !is_listening => match listened {
                    Ok(Ok(())) => is_listening = true,
                    _ => return Lost::Closed,
                },
                sent = async { match &mut probing {
                    Some(probe) => std::pin::Pin::new(probe).await,
                    None => std::future::pending::<bool>().await,
                } } => {
                    probing = None;
                    if !sent {
                        // The database itself does not answer.
                        return Lost::Closed;
                    }
                }
                () = sleep_until(wake), if is_listening => {
                    if answer_due.is_some() {
                        let was_alive = self.own.borrow().is_some();
                        return if was_alive { Lost::Silent } else { Lost::Deaf };
                    }
                    probing = Some(Box::pin(self.probe(database)));
                    answer_due = Some(Instant::now() + limit.max(ANSWERED));
                    next_probe = Instant::now() + PROBED;
                }
            }
        }
    }

    /// Notifies of a payload; returns whether it is a probe of this node.
    fn receive(&self, payload: &str) -> bool {
        let Some((node, event)) = message::parse(payload) else {
            return false;
        };
        if node == self.node {
            // Own events were notified of without it.
            return event == Event::Probe;
        }
        if self.is_deaf.load(Ordering::Relaxed) {
            return false;
        }
        match event {
            Event::Probe => {}
            Event::Everything => self.notify_all(),
            Event::Hashes(hashes) => hashes.iter().for_each(|hash| self.watches.notify(*hash)),
        }
        false
    }
}
