use std::{
    pin::pin,
    sync::{Arc, atomic::Ordering, mpsc},
    task::{Context, Waker},
    time::{Duration, Instant},
};

use tempfile::TempDir;
use tower_async_job_core::{JobId, StoreError, SystemClock};

use super::{Engine, Kind};
use crate::{
    job::Job,
    notes::Delivery,
    settings::{Settings, Synchronous},
    time::NEVER,
    transaction::{Snapshot, Step, Transaction},
};

/// An open store in a directory of its own.
struct Open {
    engine: Engine,
    _directory: TempDir,
}

async fn open(timeout: Duration) -> Open {
    let directory = tempfile::tempdir().unwrap();
    let settings = Settings {
        path: directory.path().join("jobs.db"),
        lease: Duration::from_secs(30),
        operation_timeout: timeout,
        max_bytes: None,
        max_log_bytes: 64 << 20,
        readers: 1,
        page_size: None,
        synchronous: Synchronous::Full,
        clock: Arc::new(SystemClock),
    };
    Open {
        engine: Engine::open(settings).await.unwrap(),
        _directory: directory,
    }
}

const LONG: Duration = Duration::from_secs(60);

/// Stores a row, by which its commit is known.
fn mark(id: JobId) -> impl FnMut(&Transaction<'_>) -> Step<()> + Send + 'static {
    move |transaction| Job::insert_void(transaction, &id, NEVER)
}

impl Open {
    async fn mark(&self, id: JobId) -> Result<(), StoreError> {
        self.engine.write(Kind::Small, 0, mark(id)).await
    }

    async fn has(&self, id: JobId) -> bool {
        let find = move |snapshot: &Snapshot<'_>| Ok(Job::find(snapshot, &id)?.is_some());
        self.engine.read(find).await.unwrap()
    }

    /// Lets the writer wait, so that later operations form one batch.
    async fn hold(&self) -> mpsc::Sender<()> {
        let (release, released) = mpsc::channel();
        let (begun, began) = mpsc::channel();
        let wait = move |_: &Transaction<'_>| {
            begun.send(()).unwrap();
            // An error: it is dropped, which releases too.
            let _ = released.recv();
            Ok(())
        };
        // No operation joins a commit of this kind.
        let operation = self.engine.write(Kind::Lazy, 0, wait);
        let mut operation = Box::pin(operation);
        let context = &mut Context::from_waker(Waker::noop());
        assert!(operation.as_mut().poll(context).is_pending());
        began.recv().unwrap();
        // The future is not polled again, and must not be dropped before its operation has begun.
        drop(operation);
        release
    }

    /// Performs operations in one batch: before, this one, and after.
    async fn among_others<T: Send + 'static>(
        &self,
        act: impl FnMut(&Transaction<'_>) -> Step<T> + Send + 'static,
    ) -> (
        [JobId; 2],
        [Result<(), StoreError>; 2],
        Result<T, StoreError>,
    ) {
        let ids = [JobId::random(), JobId::random()];
        let held = self.hold().await;
        let mut before = pin!(self.mark(ids[0]));
        let mut middle = pin!(self.engine.write(Kind::Small, 0, act));
        let mut after = pin!(self.mark(ids[1]));
        let context = &mut Context::from_waker(Waker::noop());
        assert!(before.as_mut().poll(context).is_pending());
        assert!(middle.as_mut().poll(context).is_pending());
        assert!(after.as_mut().poll(context).is_pending());
        drop(held);
        let (before, middle, after) = tokio::join!(before, middle, after);
        (ids, [before, after], middle)
    }
}

#[tokio::test]
async fn an_operation_that_fails_undoes_itself_alone() {
    let store = open(LONG).await;
    let id = JobId::random();
    let (ids, others, failed) = store
        .among_others(move |transaction| {
            Job::insert_void(transaction, &id, NEVER)?;
            Job::insert_void(transaction, &id, NEVER)
        })
        .await;
    assert!(failed.unwrap_err().is_unavailable());
    assert!(others.iter().all(Result::is_ok), "{others:?}");
    assert!(store.has(ids[0]).await && store.has(ids[1]).await);
    assert!(!store.has(id).await);
}

#[tokio::test]
async fn an_operation_that_finds_a_limit_reached_is_refused_alone() {
    let store = open(LONG).await;
    let mut performed = 0;
    let (ids, others, refused) = store
        .among_others(move |transaction| {
            performed += 1;
            Job::insert_void(transaction, &JobId::from_bits(performed), NEVER)?;
            // Again with a savepoint, but not once more, since room is made in a full file only.
            assert!(performed <= 2);
            Err::<(), _>(StoreError::full().into())
        })
        .await;
    assert!(refused.unwrap_err().is_full());
    assert!(others.iter().all(Result::is_ok), "{others:?}");
    assert!(store.has(ids[0]).await && store.has(ids[1]).await);
    assert!(!store.has(JobId::from_bits(1)).await && !store.has(JobId::from_bits(2)).await);
}

#[tokio::test]
async fn a_commit_that_fails_fails_all_of_its_operations() {
    let store = open(LONG).await;
    // SQLite refuses the last statement of the transaction, and then forgets the trigger.
    let refuse = |transaction: &Transaction<'_>| {
        let sql = "CREATE TEMP TRIGGER refuse BEFORE UPDATE OF mark ON store \
                   BEGIN SELECT RAISE(ABORT, 'refused'); END";
        transaction.execute(sql, [])
    };
    let (ids, others, refused) = store.among_others(refuse).await;
    assert!(refused.unwrap_err().is_unavailable());
    assert!(
        others
            .iter()
            .all(|other| other.as_ref().is_err_and(StoreError::is_unavailable))
    );
    assert!(!store.has(ids[0]).await && !store.has(ids[1]).await);

    store.mark(ids[0]).await.unwrap();
    assert!(store.has(ids[0]).await);
}

#[tokio::test]
async fn a_transaction_that_sqlite_rolls_back_fails_all_of_its_operations() {
    let store = open(LONG).await;
    let (ids, others, lost) = store
        .among_others(|transaction| {
            transaction.execute("ROLLBACK", [])?;
            transaction.execute("no SQL", [])
        })
        .await;
    assert!(lost.unwrap_err().is_unavailable());
    assert!(
        others
            .iter()
            .all(|other| other.as_ref().is_err_and(StoreError::is_unavailable))
    );
    assert!(!store.has(ids[0]).await && !store.has(ids[1]).await);
    store.mark(ids[0]).await.unwrap();
}

#[tokio::test]
async fn a_panic_fails_its_commit_and_no_later_one() {
    let store = open(LONG).await;
    let panic = |_: &Transaction<'_>| -> Step<()> { panic!("for the test") };
    let (ids, others, panicked) = store.among_others(panic).await;
    assert!(panicked.unwrap_err().is_unavailable());
    assert!(others.iter().all(Result::is_err));
    assert!(!store.has(ids[0]).await);
    store.mark(ids[0]).await.unwrap();
    assert!(store.has(ids[0]).await);

    let panic = |_: &Snapshot<'_>| -> Step<()> { panic!("for the test") };
    let read = store.engine.read(panic).await;
    assert!(read.unwrap_err().is_unavailable());
    assert!(store.has(ids[0]).await);
}

/// A waker of a runtime with an error.
struct Broken;

impl std::task::Wake for Broken {
    fn wake(self: Arc<Self>) {
        panic!("for the test");
    }
}

#[tokio::test]
async fn a_waker_that_panics_costs_no_other_call_anything() {
    let store = open(LONG).await;
    let waker = Waker::from(Arc::new(Broken));
    let context = &mut Context::from_waker(&waker);
    let id = JobId::random();
    let mut write = pin!(store.mark(id));
    // It may wait or not, depending on the thread that answers.
    let _ = write.as_mut().poll(context);
    store.mark(JobId::random()).await.unwrap();
    assert!(store.has(id).await);
    let mut read = pin!(store.engine.record(id, tower_async_job_core::Detail::Full));
    let _ = read.as_mut().poll(context);
    assert!(store.has(id).await);
}

#[tokio::test]
async fn a_call_ends_in_time_though_the_writer_hangs_and_is_not_performed_later() {
    let store = open(Duration::from_millis(300)).await;
    let held = store.hold().await;
    let id = JobId::random();
    let began = Instant::now();
    let late = store.mark(id).await.unwrap_err();
    assert!(late.is_unavailable());
    let reason = std::error::Error::source(&late).unwrap().to_string();
    assert!(reason.ends_with("jobs.db` did not answer within 300ms: its disk is slow, or hangs"));
    assert!(began.elapsed() < Duration::from_secs(5));
    // Reads do not wait for the writer.
    assert!(!store.has(id).await);
    drop(held);
    store.mark(JobId::random()).await.unwrap();
    assert!(!store.has(id).await);
}

#[tokio::test]
async fn an_operation_whose_future_is_dropped_is_whole_or_undone() {
    let store = open(LONG).await;
    let context = &mut Context::from_waker(Waker::noop());
    for _ in 0..50 {
        let id = JobId::random();
        let twice = move |transaction: &Transaction<'_>| {
            Job::insert_void(transaction, &id, NEVER)?;
            transaction.execute(
                "UPDATE jobs SET handle = 7 WHERE key = ?",
                [crate::job::key_of(&id)],
            )
        };
        {
            let operation = store.engine.write(Kind::Small, 0, twice);
            let _ = pin!(operation).poll(context);
        }
        store.mark(JobId::random()).await.unwrap();
        let find =
            move |snapshot: &Snapshot<'_>| Ok(Job::find(snapshot, &id)?.map(|job| job.handle));
        let found = store.engine.read(find).await.unwrap();
        assert!([None, Some(7)].contains(&found), "{found:?}");
    }
}

#[tokio::test]
async fn no_more_operations_wait_than_the_queue_holds() {
    let store = open(LONG).await;
    let held = store.hold().await;
    let context = &mut Context::from_waker(Waker::noop());
    let mut waiting = Vec::new();
    let refused = loop {
        let mut operation = Box::pin(store.mark(JobId::random()));
        match operation.as_mut().poll(context) {
            std::task::Poll::Pending => waiting.push(operation),
            std::task::Poll::Ready(refused) => break refused,
        }
    };
    assert!(refused.unwrap_err().is_unavailable());
    assert_eq!(waiting.len(), 16_384);
    let last = waiting.pop().unwrap();
    drop(waiting);
    drop(held);
    last.await.unwrap();
    store.mark(JobId::random()).await.unwrap();
}

#[tokio::test]
async fn reads_of_one_job_share_a_read_that_begins_later() {
    let store = open(LONG).await;
    let id = JobId::random();
    let context = &mut Context::from_waker(Waker::noop());
    // The only reader waits.
    let (release, released) = mpsc::channel::<()>();
    let (begun, began) = mpsc::channel();
    let wait = move |_: &Snapshot<'_>| {
        begun.send(()).unwrap();
        let _ = released.recv();
        Ok(())
    };
    let mut waiting = pin!(store.engine.read(wait));
    assert!(waiting.as_mut().poll(context).is_pending());
    began.recv().unwrap();
    let mut reads: Vec<_> = (0..1000)
        .map(|_| Box::pin(store.engine.record(id, tower_async_job_core::Detail::Full)))
        .collect();
    for read in &mut reads {
        assert!(read.as_mut().poll(context).is_pending());
    }
    assert_eq!(store.engine.shared.reads.waiting(), 1);
    drop(release);
    for read in reads {
        assert_eq!(read.await.unwrap(), None);
    }
}

#[tokio::test]
async fn subscriptions_resolve_and_calls_fail_once_the_store_is_closed() {
    let store = open(LONG).await;
    let ended = store.engine.waiters().subscribe(&JobId::random());
    store.engine.shared.close();
    ended.await;
    assert!(
        store
            .mark(JobId::random())
            .await
            .unwrap_err()
            .is_unavailable()
    );
    let read = store.engine.read(|_| Ok(())).await;
    assert!(read.unwrap_err().is_unavailable());
}

#[tokio::test]
async fn operations_that_wait_are_committed_together() {
    let store = open(LONG).await;
    let commits = || store.engine.shared.commits.load(Ordering::SeqCst);
    let context = &mut Context::from_waker(Waker::noop());
    // By their number, and by their bytes.
    for (count, bytes, expected) in [(600, 0, 3), (10, 1 << 20, 3)] {
        let held = store.hold().await;
        let before = commits();
        let mut operations: Vec<_> = (0..count)
            .map(|_| {
                let act = mark(JobId::random());
                Box::pin(store.engine.write(Kind::Small, bytes, act))
            })
            .collect();
        for operation in &mut operations {
            assert!(operation.as_mut().poll(context).is_pending());
        }
        drop(held);
        for operation in operations {
            operation.await.unwrap();
        }
        assert_eq!(commits() - before, expected);
    }
}

#[tokio::test]
async fn an_operation_joins_the_commit_of_one_that_is_performed_as_it_arrives() {
    let store = open(LONG).await;
    let commits = || store.engine.shared.commits.load(Ordering::SeqCst);
    // The second time, one that joins fails half way, so that all are performed again.
    for fails in [false, true] {
        let before = commits();
        let (release, released) = mpsc::channel::<()>();
        let (begun, began) = mpsc::channel();
        let ids: [_; 3] = std::array::from_fn(|_| JobId::random());
        let first = move |transaction: &Transaction<'_>| {
            Job::insert_void(transaction, &ids[0], NEVER)?;
            let _ = begun.send(transaction.now);
            let _ = released.recv();
            Ok(transaction.now)
        };
        let second = move |transaction: &Transaction<'_>| {
            Job::insert_void(transaction, &ids[1], NEVER)?;
            if fails {
                Job::insert_void(transaction, &ids[1], NEVER)?;
            }
            Ok(transaction.now)
        };
        let context = &mut Context::from_waker(Waker::noop());
        let mut first = pin!(store.engine.write(Kind::Small, 0, first));
        assert!(first.as_mut().poll(context).is_pending());
        let time = began.recv().unwrap();
        let mut second = pin!(store.engine.write(Kind::Growing, 0, second));
        let mut third = pin!(store.mark(ids[2]));
        assert!(second.as_mut().poll(context).is_pending());
        assert!(third.as_mut().poll(context).is_pending());
        drop(release);
        let (first, second, third) = tokio::join!(first, second, third);
        assert!(first.unwrap() >= time);
        // An operation never sees a time before it was asked for.
        assert_eq!(
            second.map(|later| later > time).ok(),
            (!fails).then_some(true)
        );
        third.unwrap();
        for (id, is_there) in ids.into_iter().zip([true, !fails, true]) {
            assert_eq!(store.has(id).await, is_there);
        }
        assert_eq!(commits() - before, 1);
    }
}

#[tokio::test]
async fn only_commits_of_chunks_alone_do_not_wait_for_the_disk() {
    let store = open(LONG).await;
    let level = |transaction: &Transaction<'_>| {
        let read = |row: &rusqlite::Row<'_>| row.get::<_, i64>(0);
        let connection = transaction.connection;
        Ok(connection.pragma_query_value(None, "synchronous", read)?)
    };
    const NORMAL: i64 = 1;
    const FULL: i64 = 2;
    for (kind, expected) in [
        (Kind::Growing, FULL),
        (Kind::Lazy, NORMAL),
        (Kind::Small, FULL),
        (Kind::Lazy, NORMAL),
    ] {
        let found = store.engine.write(kind, 0, level).await;
        assert_eq!(found.unwrap(), expected, "{kind:?}");
    }
    let held = store.hold().await;
    let context = &mut Context::from_waker(Waker::noop());
    let mut chunk = pin!(store.engine.write(Kind::Lazy, 0, level));
    let mut other = pin!(store.engine.write(Kind::Small, 0, level));
    assert!(chunk.as_mut().poll(context).is_pending());
    assert!(other.as_mut().poll(context).is_pending());
    drop(held);
    assert_eq!(chunk.await.unwrap(), FULL);
    assert_eq!(other.await.unwrap(), FULL);
}

#[tokio::test]
async fn many_deliveries_are_written_one_part_after_another_while_nothing_else_waits() {
    let store = open(LONG).await;
    for at in 0..2500 {
        let delivery = Delivery { at, until: None };
        store.engine.notes().add(JobId::random(), delivery);
    }
    // The first part is written with it.
    store.mark(JobId::random()).await.unwrap();
    let written = async {
        while store.engine.notes().are_many() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(LONG, written).await.expect("in time");
}
