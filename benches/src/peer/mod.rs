//! The peers of the server layer: handwritten polling endpoints with axum, a `DashMap`, and a task per
//! job.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::Notify;

pub mod bare;
pub mod fair;
pub mod plain;

/// Waits for the gate, and returns 1 KiB.
pub async fn work(gate: Arc<Notify>) -> Bytes {
    gate.notified().await;
    Bytes::from(vec![b'x'; 1024])
}
