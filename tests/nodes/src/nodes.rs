use std::{ops::Add, sync::Arc, time::Duration};

use tower_async_job_core::{JobId, JobStore};
use tower_async_job_testkit::{Hook, NotRun};

/// The lease of the stores, short since these tests wait for its end.
pub(crate) const LEASE: Duration = Duration::from_secs(2);

/// The settings of one handle. A store that lacks one of them gives the reason why the test is not
/// run.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// The lease of jobs, the same for all handles that are open at one time.
    pub lease: Duration,
    /// The timeout of an operation, otherwise the store's own.
    pub operation_timeout: Option<Duration>,
    /// The size of chunks in bytes, otherwise the store's own.
    pub chunk_size: Option<usize>,
    /// The room of the whole store in bytes, otherwise unlimited.
    pub max_bytes: Option<u64>,
    /// The time by which the clock of the node is ahead of all others.
    pub ahead: Duration,
    /// True if the handle is never notified of changes by others.
    pub is_deaf: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            lease: LEASE,
            operation_timeout: None,
            chunk_size: None,
            max_bytes: None,
            ahead: Duration::ZERO,
            is_deaf: false,
        }
    }
}

/// The data of a store that any number of nodes share, in this process and in others.
///
/// Each test has data of its own, without jobs. The methods with a default are hooks, without which
/// tests that need them are not run.
pub trait Nodes: Send + Sync + Sized + 'static {
    /// True if queue limits hold exactly, however many creates arrive at once.
    const EXACT_LIMITS: bool = false;

    /// True if jobs can be read during an [`outage`](Self::outage).
    const READS_DURING_OUTAGES: bool = false;

    /// True if handles are notified of what others change.
    const NOTIFIES: bool = true;

    /// The number of reads of one handle that may be under way at the same time.
    const READERS: u64 = 1;

    /// True if a transaction that changes nothing counts as a commit, since round trips are counted.
    const COUNTS_ROUND_TRIPS: bool = false;

    /// True if jobs to claim, and the job of a known key, are found by a read of their own.
    const FINDS_BY_READS: bool = false;

    /// The name of the setting of [`Settings::max_bytes`].
    const ROOM: &str = "max_bytes";

    /// Creates an empty store, whose data are removed when this is dropped.
    fn create() -> Hook<'static, Self>;

    /// Creates another empty store.
    fn another(&self) -> Hook<'static, Self> {
        Self::create()
    }

    /// Returns the address of the data, one line of text.
    fn address(&self) -> String;

    /// Finds the data that another process has created.
    fn at(address: &str) -> Self;

    /// Opens a handle, like another node.
    fn open(&self, settings: Settings) -> Hook<'_, Arc<dyn JobStore>>;

    /// Keeps all handles from changing anything, until the outage is awaited or dropped. If it is
    /// awaited, the store can be opened afterwards.
    fn outage(&self) -> Hook<'_, Outage> {
        not_run("the store is never out of reach")
    }

    /// Cuts all connections of all handles, and of those of other processes. New ones can be made at
    /// once.
    fn cut(&self) -> Hook<'_, ()> {
        not_run("the store has no connections")
    }

    /// Lets this time pass for the store, and sweeps it.
    fn later(&self, span: Duration) -> Hook<'_, ()> {
        let _ = span;
        not_run("the clock of the store cannot be moved")
    }

    /// Damages the record of a job.
    fn corrupt(&self, id: JobId) -> Hook<'_, ()> {
        let _ = id;
        not_run("no record of the store can be damaged")
    }

    /// Adds a number to the format of a record.
    fn add_to_format(&self, id: JobId, number: i8) -> Hook<'_, ()> {
        let _ = (id, number);
        not_run("the records of the store have no format")
    }

    /// Counts the chunks of each run whose chunks are stored, by its epoch, in order.
    fn chunks(&self) -> Hook<'_, Vec<(u64, usize)>> {
        not_run("the chunks of the store cannot be counted")
    }

    /// Returns whether this text is anywhere in what is stored, also in rows and files that are no
    /// longer used.
    fn contains<'a>(&'a self, text: &'a str) -> Hook<'a, bool> {
        let _ = text;
        not_run("the data of the store cannot be searched")
    }

    /// Opens a handle whose costs are counted. It has an operation timeout of two minutes.
    fn counted(&self) -> Hook<'_, Box<dyn Counted>> {
        not_run("the costs of the store cannot be counted")
    }
}

/// The end of an outage.
pub type Outage = Hook<'static, ()>;

/// A handle whose costs are counted.
pub trait Counted: Send + Sync {
    /// Returns the handle.
    fn store(&self) -> Arc<dyn JobStore>;

    /// Returns the cost of all that the handle did, including what it is doing.
    fn cost(&self) -> Cost;

    /// Holds all reads of the handle, or lets them proceed. Those that are held count already.
    fn hold_reads(&self, is_held: bool);
}

/// The costs of some calls, in round trips or transactions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// Those that change something.
    pub commits: u64,
    /// Those that change nothing.
    pub reads: u64,
}

impl Add for Cost {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            commits: self.commits + other.commits,
            reads: self.reads + other.reads,
        }
    }
}

/// Ends a test that needs notifications on stores without.
pub(crate) fn needs_notifications<N: Nodes>(_: &N) -> Result<(), NotRun> {
    let silent = NotRun::because("the store notifies no other handle");
    N::NOTIFIES.then_some(()).ok_or(silent)
}

/// Returns the result of a missing hook.
fn not_run<'a, T: Send + 'a>(reason: &'static str) -> Hook<'a, T> {
    Box::pin(async move { Err(NotRun::because(reason)) })
}
