use std::{
    collections::HashSet,
    future::pending,
    iter::zip,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tower_async_job_core::{
    ClaimQuery, Claims, Created, Detail, JobId, JobPage, JobQuery, JobRecord, JobStore, Lease,
    MemoryStore, NewJob, Release, Released, Renewal, StoreError, StoreFuture, Subscription,
};
use tower_async_job_testkit::Interpose;

/// The interval at which a wait checks by itself.
const FALLBACK: Duration = Duration::from_millis(50);

/// A precaution of the store against damage.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Precaution {
    Commits,
    EndsCorrupt,
    RenewsTheRest,
    ReleasesTheRest,
    ListsTheRest,
    LeavesNewer,
    LooksAgain,
}

/// The damage.
#[derive(Debug)]
pub(crate) struct State {
    missing: Option<Precaution>,
    corrupt: Mutex<HashSet<JobId>>,
    newer: Mutex<HashSet<JobId>>,
    loses_notifications: AtomicBool,
    /// The latest created job.
    latest: Mutex<Option<JobId>>,
    /// Jobs lost by a crash.
    lost: Mutex<HashSet<JobId>>,
}

impl State {
    pub(crate) fn without(missing: Option<Precaution>) -> Self {
        Self {
            missing,
            corrupt: Mutex::default(),
            newer: Mutex::default(),
            loses_notifications: AtomicBool::new(false),
            latest: Mutex::default(),
            lost: Mutex::default(),
        }
    }

    pub(crate) fn corrupt(&self, id: JobId) {
        self.corrupt.lock().unwrap().insert(id);
    }

    pub(crate) fn give_newer_format(&self, id: JobId) {
        self.newer.lock().unwrap().insert(id);
    }

    pub(crate) fn crash(&self) {
        if !self.takes(Precaution::Commits) {
            let latest = self.latest.lock().unwrap().take();
            self.lost.lock().unwrap().extend(latest);
        }
    }

    pub(crate) fn lose_notifications(&self) {
        self.loses_notifications.store(true, Ordering::SeqCst);
    }

    fn takes(&self, precaution: Precaution) -> bool {
        self.missing != Some(precaution)
    }

    fn is_corrupt(&self, id: &JobId) -> bool {
        self.corrupt.lock().unwrap().contains(id)
    }

    /// Fails if a job of these leases is corrupt, unless the precaution is taken.
    fn check(&self, leases: &[Lease], precaution: Precaution) -> Result<(), StoreError> {
        match leases.iter().any(|lease| self.is_corrupt(&lease.id)) {
            true if !self.takes(precaution) => Err(StoreError::corrupt("damaged")),
            _ => Ok(()),
        }
    }

    fn is_lost(&self, id: &JobId) -> bool {
        self.lost.lock().unwrap().contains(id)
    }

    fn is_newer(&self, id: &JobId) -> bool {
        self.newer.lock().unwrap().contains(id)
    }
}

/// An in-memory store whose records can be damaged.
#[derive(Debug)]
pub(crate) struct Fragile {
    inner: Arc<MemoryStore>,
    state: Arc<State>,
}

impl Fragile {
    pub(crate) fn new(inner: MemoryStore, state: Arc<State>) -> Self {
        Self {
            inner: Arc::new(inner),
            state,
        }
    }
}

impl Interpose for Fragile {
    fn inner(&self) -> &dyn JobStore {
        &*self.inner
    }

    fn create<'a>(&'a self, job: NewJob) -> StoreFuture<'a, Created> {
        *self.state.latest.lock().unwrap() = Some(job.id);
        self.inner.create(job)
    }

    fn read<'a>(&'a self, id: &'a JobId, detail: Detail) -> StoreFuture<'a, Option<JobRecord>> {
        Box::pin(async move {
            if self.state.is_corrupt(id) {
                return Err(StoreError::corrupt("damaged"));
            }
            if self.state.is_newer(id) {
                return Err(StoreError::unsupported_version(9));
            }
            let record = self.inner.read(id, detail).await?;
            Ok(record.filter(|record| !self.state.is_lost(&record.id)))
        })
    }

    fn claim<'a>(&'a self, query: &'a ClaimQuery) -> StoreFuture<'a, Claims> {
        Box::pin(async move {
            let mut claims = self.inner.claim(query).await?;
            for claim in std::mem::take(&mut claims.jobs) {
                let id = claim.lease.id;
                if self.state.is_lost(&id) {
                    continue;
                }
                if self.state.is_corrupt(&id) && self.state.takes(Precaution::EndsCorrupt) {
                    self.inner.cancel(&id).await?;
                    claims.unreadable.push(claim.handle);
                } else if !self.state.is_newer(&id) || !self.state.takes(Precaution::LeavesNewer) {
                    claims.jobs.push(claim);
                }
            }
            Ok(claims)
        })
    }

    fn renew<'a>(&'a self, leases: &'a [Lease]) -> StoreFuture<'a, Vec<Renewal>> {
        Box::pin(async move {
            self.state.check(leases, Precaution::RenewsTheRest)?;
            let mut fates = self.inner.renew(leases).await?;
            for (lease, fate) in zip(leases, &mut fates) {
                if self.state.is_corrupt(&lease.id) {
                    *fate = Renewal::Lost;
                }
            }
            Ok(fates)
        })
    }

    fn release<'a>(&'a self, leases: &'a [Lease], how: Release) -> StoreFuture<'a, Vec<Released>> {
        Box::pin(async move {
            self.state.check(leases, Precaution::ReleasesTheRest)?;
            let mut fates = self.inner.release(leases, how).await?;
            for (lease, fate) in zip(leases, &mut fates) {
                if self.state.is_corrupt(&lease.id) {
                    *fate = Released::Lost;
                }
            }
            Ok(fates)
        })
    }

    fn list<'a>(&'a self, query: &'a JobQuery) -> StoreFuture<'a, JobPage> {
        Box::pin(async move {
            let mut page = self.inner.list(query).await?;
            let all = page.jobs.len();
            page.jobs
                .retain(|record| !self.state.is_corrupt(&record.id));
            page.unreadable = all - page.jobs.len();
            if page.unreadable > 0 && !self.state.takes(Precaution::ListsTheRest) {
                return Err(StoreError::corrupt("damaged"));
            }
            Ok(page)
        })
    }

    fn subscribe(&self, id: &JobId) -> Subscription {
        let (store, state, id) = (Arc::clone(&self.inner), Arc::clone(&self.state), *id);
        let mut ended = self.inner.subscribe(&id);
        Subscription::from_future(async move {
            loop {
                let woken = tokio::time::timeout(FALLBACK, &mut ended).await.is_ok();
                if !state.loses_notifications.load(Ordering::SeqCst) {
                    if woken {
                        return;
                    }
                } else if !state.takes(Precaution::LooksAgain) {
                    return pending().await;
                } else {
                    let record = store.read(&id, Detail::Status).await.ok().flatten();
                    if record.is_none_or(|record| record.state.is_final()) {
                        return;
                    }
                    tokio::time::sleep(FALLBACK).await;
                }
            }
        })
    }
}
