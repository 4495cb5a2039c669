//! The places of the jobs: a file, or a part of a server.

use std::{pin::Pin, sync::Arc};

use tower_async_job::store::JobStore;

use crate::Outcome;

pub(crate) type Pending<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A place that keeps jobs.
pub(crate) trait Place {
    /// Makes it empty, without tables.
    fn empty(&mut self) -> Outcome<()>;

    /// Opens the store, with new connections.
    fn store(&self) -> Pending<'_, Outcome<Arc<dyn JobStore>>>;

    /// Opens the peer, in a place that the store has prepared.
    fn peer(&self) -> Pending<'_, Outcome<Arc<dyn Peer>>>;

    /// Returns the bytes that are taken once all connections are closed.
    fn bytes(&self) -> Outcome<u64>;

    /// Returns the size of the log, if it is bounded by the store.
    fn log(&self) -> Option<u64> {
        None
    }

    /// Returns the goal: the share of the peer's rate.
    fn goal(&self) -> f64;
}

/// The raw commands of a database.
pub(crate) trait Peer: Send + Sync {
    /// Creates a job and finishes it.
    fn live(&self) -> Pending<'_, ()>;
}
