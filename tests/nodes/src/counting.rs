//! The costs of exchanges.

use std::{
    future::pending,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{task::JoinHandle, time::sleep};
use tower_async_job_core::{Call, Detail, Interpose, Interposed, JobStore, StoreFuture};
use tower_async_job_testkit::NotRun;

use crate::nodes::{Cost, Counted, Nodes};

/// A store whose costs are counted. Nothing sweeps it.
pub(crate) struct Counting {
    pub(crate) store: Arc<dyn JobStore>,
    counted: Box<dyn Counted>,
    calls: Arc<Calls>,
    known: Mutex<Cost>,
}

/// The reads of jobs that were called, and those that were answered, and the ends that were stored.
#[derive(Debug, Default)]
struct Calls {
    begun: AtomicU64,
    ended: AtomicU64,
    stored: AtomicU64,
}

#[derive(Debug)]
pub(crate) struct Quiet {
    store: Arc<dyn JobStore>,
    calls: Arc<Calls>,
}

impl Interpose for Quiet {
    fn inner(&self) -> &dyn JobStore {
        &*self.store
    }

    fn around<'a, T: Send + 'a>(
        &'a self,
        call: Call,
        answer: StoreFuture<'a, T>,
    ) -> StoreFuture<'a, T> {
        match call {
            // Housekeeping belongs to no exchange.
            Call::Sweep => Box::pin(pending()),
            Call::Read => Box::pin(async {
                self.calls.begun.fetch_add(1, Ordering::SeqCst);
                let answer = answer.await;
                self.calls.ended.fetch_add(1, Ordering::SeqCst);
                answer
            }),
            Call::Finish => Box::pin(async {
                let answer = answer.await;
                self.calls.stored.fetch_add(1, Ordering::SeqCst);
                answer
            }),
            _ => answer,
        }
    }
}

impl Counting {
    pub(crate) async fn open(data: &impl Nodes) -> Result<Self, NotRun> {
        let counted = data.counted().await?;
        let counting = Self {
            store: counted.store(),
            known: Mutex::new(counted.cost()),
            counted,
            calls: Arc::default(),
        };
        Ok(counting)
    }

    /// Returns the store as a layer has it.
    pub(crate) fn quiet(&self) -> Interposed<Quiet> {
        Interposed::new(Quiet {
            store: self.store.clone(),
            calls: self.calls.clone(),
        })
    }

    /// Returns the cost since the last time.
    pub(crate) fn cost(&self) -> Cost {
        let cost = self.since();
        let mut known = self.known.lock().unwrap();
        *known = *known + cost;
        cost
    }

    fn since(&self) -> Cost {
        let cost = self.counted.cost();
        let known = self.known.lock().unwrap();
        Cost {
            commits: cost.commits - known.commits,
            reads: cost.reads - known.reads,
        }
    }

    /// Waits until the cost is as wanted.
    pub(crate) async fn wait(&self, is_wanted: impl Fn(Cost) -> bool) {
        while !is_wanted(self.since()) {
            sleep(Duration::from_millis(1)).await;
        }
    }

    /// Waits until these numbers of reads of jobs have begun and ended.
    pub(crate) async fn wait_for_calls(&self, begun: u64, ended: u64) {
        let calls = |count: &AtomicU64| count.load(Ordering::SeqCst);
        while calls(&self.calls.begun) < begun || calls(&self.calls.ended) < ended {
            sleep(Duration::from_millis(1)).await;
        }
    }

    /// Waits until the end of a job is stored.
    pub(crate) async fn wait_for_an_end(&self) {
        while self.calls.stored.load(Ordering::SeqCst) == 0 {
            sleep(Duration::from_millis(1)).await;
        }
    }

    /// Begins a read that lasts until it is ended.
    pub(crate) async fn busy(&self) -> Busy<'_> {
        let before = self.since().reads;
        self.counted.hold_reads(true);
        let store = self.store.clone();
        let unknown = store.new_id(None, None);
        let read = async move { store.read(&unknown, Detail::Status).await };
        let read = tokio::spawn(async { assert_eq!(read.await.unwrap(), None) });
        self.wait(|cost| cost.reads > before).await;
        Busy {
            read,
            counted: &*self.counted,
        }
    }
}

/// A read under way.
pub(crate) struct Busy<'a> {
    read: JoinHandle<()>,
    counted: &'a dyn Counted,
}

impl Busy<'_> {
    pub(crate) async fn end(self) {
        self.counted.hold_reads(false);
        self.read.await.unwrap();
    }
}
