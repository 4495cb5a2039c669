use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use http_polling::Progress;
use tower_async_job_core::{
    Cancellation, Created, Detail, JobId, JobRecord, Lease, RecordedOutcome, Release, Report,
    Retention, Start,
};

use super::{Event, Fact, Seen};
use crate::{harness::Harness, node::*};

const KEYS: usize = 3;
const CALLERS: usize = 6;
const CALLS: usize = 40;

/// The state that all callers share.
#[derive(Default)]
struct Common {
    clock: AtomicU64,
    marks: AtomicU64,
    events: Mutex<Vec<Event>>,
    ids: Mutex<Vec<JobId>>,
    /// All leases given out, including stale ones.
    leases: Mutex<Vec<Lease>>,
}

impl Common {
    fn now(&self) -> u64 {
        self.clock.fetch_add(1, Ordering::SeqCst)
    }
}

/// One of the concurrent callers.
struct Caller {
    node: Node,
    common: Arc<Common>,
    rng: fastrand::Rng,
}

/// Runs random callers on two nodes against a few jobs, while leases expire; returns the history.
pub(crate) async fn record(
    harness: &dyn Harness,
    nodes: &[Node; 2],
    seed: u64,
) -> Result<Vec<Event>, String> {
    let mut rng = fastrand::Rng::with_seed(seed);
    let common = Arc::new(Common::default());
    let mut callers = tokio::task::JoinSet::new();
    for number in 0..CALLERS {
        let caller = Caller {
            node: nodes[number % nodes.len()].clone(),
            common: Arc::clone(&common),
            rng: rng.fork(),
        };
        callers.spawn(caller.run(seed));
    }
    let mut ended = Ok(());
    while !callers.is_empty() {
        if rng.u8(..8) == 0 {
            let lease = nodes[0].properties().lease.unwrap_or_default();
            // Without a clock, no lease expires.
            let _ = harness.advance(lease / 2).await;
            drop(nodes[0].sweep_all().await);
        }
        let patience = Duration::from_micros(rng.u64(..300));
        if let Ok(Some(joined)) = tokio::time::timeout(patience, callers.join_next()).await {
            ended = ended.and(joined.map_err(|error| error.to_string()));
        }
    }
    ended?;
    let events = common.events.lock().unwrap_or_else(PoisonError::into_inner);
    Ok(events.clone())
}

impl Caller {
    async fn run(mut self, seed: u64) {
        for key in 0..KEYS {
            self.create(seed, key).await;
        }
        for _ in 0..CALLS {
            self.call().await;
            if self.rng.bool() {
                tokio::task::yield_now().await;
            }
        }
    }

    fn note(&self, began: u64, id: JobId, fact: Fact) {
        let event = Event {
            began,
            ended: self.common.now(),
            id,
            fact,
        };
        let events = self.common.events.lock();
        events.unwrap_or_else(PoisonError::into_inner).push(event);
    }

    fn holds(&self, lease: Lease) {
        let leases = self.common.leases.lock();
        leases.unwrap_or_else(PoisonError::into_inner).push(lease);
    }

    async fn create(&mut self, seed: u64, number: usize) {
        let long = 10_000 * HOUR;
        let start = *self
            .rng
            .choice(&[Start::Running, Start::Queued, Start::Offered])
            .expect("there are three");
        let job = self
            .node
            .replayable()
            .with_start(start)
            .with_max_attempts(1000)
            .with_deadline(long)
            .with_retention(Retention::new(long, long));
        let job = self.node.with_key(job, key(&format!("{seed} {number}"), 1));
        let id = job.id;
        let began = self.common.now();
        match self.node.create(job).await.unwrap() {
            Created::New { lease, .. } => self.holds(lease),
            Created::Offered { .. } => {}
            Created::Existing(_) => return,
            other => panic!("{other:?}"),
        }
        self.note(began, id, Fact::Made { key: number });
        let ids = self.common.ids.lock();
        ids.unwrap_or_else(PoisonError::into_inner).push(id);
    }

    /// Picks a job, and a lease of any job.
    fn pick(&mut self) -> (Option<JobId>, Option<Lease>) {
        let ids = self
            .common
            .ids
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let leases = self
            .common
            .leases
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        // Recent leases are the most useful.
        let recent = &leases[leases.len().saturating_sub(6)..];
        let lease = if self.rng.bool() { recent } else { &leases[..] };
        (
            self.rng.choice(&*ids).copied(),
            self.rng.choice(lease).copied(),
        )
    }

    async fn call(&mut self) {
        let (Some(id), lease) = self.pick() else {
            return;
        };
        let began = self.common.now();
        match (self.rng.u8(..20), lease) {
            (0..8, _) => {
                let record = self.node.read(&id, Detail::Full).await.unwrap();
                self.note(began, id, Fact::Read(record.as_ref().map(seen)));
            }
            (8..12, _) => {
                for claim in self.node.claim_some(2).await {
                    let lease = claim.lease;
                    self.note(began, lease.id, Fact::Claimed { lease });
                    self.holds(lease);
                }
            }
            (12..15, Some(lease)) => {
                let progress = self.common.marks.fetch_add(1, Ordering::SeqCst);
                let report = Report::default().with_progress(Progress::of(progress, u64::MAX));
                if fenced(self.node.report(&lease, report).await) {
                    self.note(began, lease.id, Fact::Reported { lease, progress });
                }
            }
            (15..17, Some(lease)) => {
                let how = Release::default().with_counts(false);
                self.node.release_one(&lease, how).await;
            }
            (17, Some(lease)) => {
                fenced(self.node.start(&lease).await);
                self.node.renew(&[lease]).await.unwrap();
            }
            (18, Some(lease)) => {
                let mark = lease.epoch;
                if fenced(self.node.end(&lease, done(&mark.to_le_bytes())).await) {
                    self.note(began, lease.id, Fact::Finished { lease, mark });
                }
            }
            (19, _) if self.rng.u8(..4) == 0 => {
                let cancelled = self.node.cancel(&id).await.unwrap();
                if matches!(cancelled, Cancellation::Cancelled { .. }) {
                    self.note(began, id, Fact::Cancelled);
                }
            }
            _ => {}
        }
    }
}

/// Returns whether a write was made. The only allowed failure is a lost lease.
fn fenced(result: Result<(), tower_async_job_core::StoreError>) -> bool {
    match result {
        Ok(()) => true,
        Err(error) if error.is_lease_lost() => false,
        Err(error) => panic!("{error}"),
    }
}

fn seen(record: &JobRecord) -> Seen {
    let mark = match &record.outcome {
        Some(RecordedOutcome::Response(response)) => {
            let body = response.decode().expect("a response").body;
            Some(u64::from_le_bytes(
                body[..].try_into().expect("eight bytes"),
            ))
        }
        _ => None,
    };
    Seen {
        version: record.version,
        epoch: record.epoch,
        state: record.state,
        progress: record.progress.as_ref().and_then(|progress| progress.done),
        mark,
    }
}
