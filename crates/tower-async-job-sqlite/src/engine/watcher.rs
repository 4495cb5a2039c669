//! The thread that notices what other processes commit.

use std::{
    cell::Cell,
    future::{poll_fn, ready},
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    sync::{Arc, atomic::Ordering},
    task::{Context, Poll, Wake, Waker},
    thread::{self, Thread},
    time::{Duration, Instant},
};

use rusqlite::Connection;
use tower_async_job_core::{JobId, StoreError};

use super::shared::{Shared, WORK};
use crate::{
    job::is_pending,
    transaction::{Failure, Snapshot, Step},
};

/// The interval between two looks, while anything is watched.
const INTERVAL: Duration = Duration::from_millis(50);

/// The interval between two checks of all that is watched, whatever was noticed.
const FALLBACK: Duration = Duration::from_secs(1);

/// The factor by which the time between two checks is at least longer than a check.
const REST: u32 = 4;

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Checks the subscriptions after commits of other processes, and once per second, until the store
/// is closed.
pub(crate) fn run(shared: &Arc<Shared>, connection: &Connection) {
    let watcher = Watcher { shared, connection };
    let mut seen = Seen::default();
    // The end of the latest check, and its duration.
    let last = Cell::new((Instant::now(), Duration::ZERO));
    let recheck = shared.waiters.recheck(
        || {
            watcher.wait(&mut seen, last.get());
            // Once closed, it must not go on.
            poll_fn(|_| match shared.is_closed() {
                true => Poll::Pending,
                false => Poll::Ready(()),
            })
        },
        |ids| {
            let began = Instant::now();
            let ended = catch_unwind(AssertUnwindSafe(|| watcher.ended(ids)));
            let ended = ended.unwrap_or_else(|_| Err(StoreError::unavailable("a check panicked")));
            last.set((Instant::now(), began.elapsed()));
            ready(ended)
        },
    );
    let mut recheck = pin!(recheck);
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut until_closed = pin!(poll_fn(|context| {
        if shared.is_closed() {
            return Poll::Ready(());
        }
        recheck.as_mut().poll(context).map(|never| match never {})
    }));
    while until_closed
        .as_mut()
        .poll(&mut Context::from_waker(&waker))
        .is_pending()
    {
        thread::park();
    }
}

/// The state of the file at the latest look.
#[derive(Default)]
struct Seen {
    data_version: Option<i64>,
    /// The number of commits of other processes.
    others: Option<i64>,
}

struct Watcher<'a> {
    shared: &'a Shared,
    connection: &'a Connection,
}

impl Watcher<'_> {
    /// Waits for the next check, which is due after a commit of another process.
    fn wait(&self, seen: &mut Seen, (checked, took): (Instant, Duration)) {
        let mut is_due = false;
        loop {
            thread::park_timeout(INTERVAL);
            let rest = checked.elapsed();
            let is_noticed = self.others_committed(seen).unwrap_or(true);
            is_due |= is_noticed && !self.shared.is_deaf.load(Ordering::Relaxed);
            if self.shared.is_closed() || rest >= FALLBACK || is_due && rest >= took * REST {
                return;
            }
        }
    }

    /// Returns whether other processes have committed since the latest look.
    fn others_committed(&self, seen: &mut Seen) -> rusqlite::Result<bool> {
        let version = |row: &rusqlite::Row<'_>| row.get(0);
        let version = self
            .connection
            .pragma_query_value(None, "data_version", version)?;
        if seen.data_version.replace(version) == Some(version) {
            return Ok(false);
        }
        let own = self.shared.commits.load(Ordering::Acquire);
        let mut statement = self
            .connection
            .prepare_cached("SELECT commits FROM store")?;
        let all: i64 = statement.query_row([], |row| row.get(0))?;
        let others = all.saturating_sub_unsigned(own);
        Ok(seen.others.replace(others) != Some(others))
    }

    /// Returns those of the watched jobs that are no longer pending.
    fn ended(&self, ids: Vec<JobId>) -> Result<Vec<JobId>, StoreError> {
        let snapshot = Snapshot {
            connection: self.connection,
            now: self.shared.clock.now(),
            notes: None,
        };
        let transaction = self.connection.unchecked_transaction();
        let check = || {
            let mut ended = Vec::new();
            for id in ids {
                if is_over(&snapshot, &id)? {
                    ended.push(id);
                }
            }
            Ok(ended)
        };
        let ended = check();
        drop(transaction);
        ended.map_err(|failure: Failure| match failure {
            Failure::Refused(error) => error,
            Failure::Sql(error) => StoreError::unavailable(error),
        })
    }
}

fn is_over(snapshot: &Snapshot<'_>, id: &JobId) -> Step<bool> {
    if *id == WORK {
        let sql = "SELECT EXISTS (SELECT 1 FROM jobs WHERE turn IS NOT NULL) \
                   OR EXISTS (SELECT 1 FROM jobs WHERE notify_due <= ?)";
        return Ok(snapshot.one(sql, [snapshot.now])?.unwrap_or(true));
    }
    Ok(!is_pending(snapshot, id)?)
}
