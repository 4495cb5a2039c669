//! The peers of the server layer: polling endpoints that one writes by hand, with axum, a `DashMap`,
//! and a task per job.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::Notify;

pub mod bare;
pub mod fair;
pub mod plain;

/// Work that waits for the gate, and gives 1 KiB.
pub async fn work(gate: Arc<Notify>) -> Bytes {
    gate.notified().await;
    Bytes::from(vec![b'x'; 1024])
}
