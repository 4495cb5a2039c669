//! The thread that makes checkpoints beside the writer.

use std::{sync::Arc, thread};

use rusqlite::{Connection, wal::CheckpointMode};

use super::shared::Shared;

/// Copies what is in the log into the file whenever it is unparked, until the store is closed.
pub(crate) fn run(shared: &Arc<Shared>, connection: &Connection) {
    while !shared.is_closed() {
        thread::park();
        if !shared.is_closed() {
            shared.checkpoint(connection, CheckpointMode::PASSIVE);
        }
    }
}
