//! The threads that read.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use rusqlite::Connection;
use tower_async_job_core::{JobRecord, StoreError};

use super::{
    reads::{Read, Wanted},
    shared::Shared,
};
use crate::{
    error::store_error,
    job::Job,
    transaction::{Failure, Snapshot},
};

/// The maximum number of reads in one snapshot.
const BATCH: usize = 64;

/// A thread with its own connection, which reads consistent snapshots beside the writer.
pub(crate) struct Reader {
    shared: Arc<Shared>,
    connection: Connection,
}

impl Reader {
    pub(crate) fn new(shared: Arc<Shared>, connection: Connection) -> Self {
        Self { shared, connection }
    }

    /// Reads until the store is closed and the queue is empty.
    pub(crate) fn run(self) {
        loop {
            let batch = self.shared.reads.take(BATCH);
            if batch.is_empty() {
                return;
            }
            // A panic drops the replies of the batch, which fail.
            let _ = catch_unwind(AssertUnwindSafe(|| self.read(batch)));
            if !self.connection.is_autocommit() {
                let _ = self.connection.execute_batch("ROLLBACK");
            }
        }
    }

    fn read(&self, batch: Vec<Read>) {
        let execute = |sql| self.connection.prepare_cached(sql)?.execute([]);
        // Without a transaction, each read has its own snapshot.
        let _ = execute("BEGIN");
        let snapshot = Snapshot {
            connection: &self.connection,
            now: self.shared.clock.now(),
            notes: Some(&self.shared.notes),
        };
        for read in batch {
            match read {
                Read::Query(query) => query(&snapshot),
                Read::Record(wanted, replies) => {
                    let record = self.record(&snapshot, wanted);
                    for reply in replies {
                        reply.send(record.clone());
                    }
                }
            }
        }
        let _ = execute("COMMIT");
    }

    fn record(
        &self,
        snapshot: &Snapshot<'_>,
        (id, detail): Wanted,
    ) -> Result<Option<JobRecord>, StoreError> {
        let read = || match Job::find(snapshot, &id)? {
            Some(job) => job.record(snapshot, detail),
            None => Ok(None),
        };
        read().map_err(|failure| match failure {
            Failure::Refused(error) => error,
            Failure::Sql(error) => store_error(&self.shared.settings.path, error),
        })
    }
}
