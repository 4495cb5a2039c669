//! The events by which nodes wake each other.

mod listener;
mod message;
mod sender;
mod watches;

use std::{
    collections::HashSet,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio::sync::{Notify, watch};
use tower_async_job_core::{JobId, Subscription};

use self::{
    message::Node,
    watches::{WORK, Watches},
};
use crate::{database::Database, job::event_hash};

/// The events that may wait to be sent. Beyond it, other nodes are told to check everything.
const WAITING: usize = 10_000;

/// The events of a node, and those of others that it waits for.
pub(crate) struct Feed {
    node: Node,
    channel: String,
    watches: Watches,
    outgoing: Mutex<Outgoing>,
    arrival: Notify,
    /// The client of the listening connection, while it is alive.
    own: watch::Sender<Option<Arc<tokio_postgres::Client>>>,
    /// True if the events of other nodes are not looked at, for tests.
    is_deaf: AtomicBool,
}

#[derive(Default)]
struct Outgoing {
    hashes: HashSet<u64>,
    is_everything: bool,
}

impl Feed {
    pub(crate) fn new(schema: &str) -> Arc<Self> {
        Arc::new(Self {
            node: Node::random(),
            channel: message::channel(schema),
            watches: Watches::default(),
            outgoing: Mutex::default(),
            arrival: Notify::new(),
            own: watch::Sender::new(None),
            is_deaf: AtomicBool::new(false),
        })
    }

    pub(crate) fn subscribe(&self, id: &JobId) -> Subscription {
        self.watches.subscribe(id)
    }

    /// Subscribes to claimable work.
    pub(crate) fn subscribe_work(&self) -> Subscription {
        self.watches.subscribe(&JobId::from_bits(0))
    }

    /// Notifies this node and all others of jobs that are no longer pending. Call it after the
    /// commit.
    pub(crate) fn ended(&self, ids: impl IntoIterator<Item = JobId>) {
        self.notify(ids.into_iter().map(|id| event_hash(&id)));
    }

    /// Notifies this node and all others of claimable work. Call it after the commit.
    pub(crate) fn work(&self) {
        self.notify([WORK]);
    }

    fn notify(&self, hashes: impl IntoIterator<Item = u64>) {
        let mut is_changed = false;
        for hash in hashes {
            self.watches.notify(hash);
            let mut outgoing = self.outgoing.lock().unwrap_or_else(PoisonError::into_inner);
            outgoing.is_everything |= outgoing.hashes.len() >= WAITING;
            if !outgoing.is_everything {
                outgoing.hashes.insert(hash);
            }
            is_changed = true;
        }
        if is_changed {
            self.arrival.notify_one();
        }
    }

    /// Wakes all subscriptions, which then read.
    pub(crate) fn notify_all(&self) {
        self.watches.notify_all();
    }

    /// Ignores the events of other nodes from now on, for tests.
    pub(crate) fn be_deaf(&self) {
        self.is_deaf.store(true, Ordering::Relaxed);
    }

    /// Returns whether events of other nodes arrive.
    pub(crate) fn is_listening(&self) -> bool {
        self.own.borrow().is_some()
    }

    /// Checks repeatedly which watched jobs have ended.
    pub(crate) async fn recheck(self: Arc<Self>, database: Arc<Database>) {
        self.watches.recheck(&database).await;
    }
}
