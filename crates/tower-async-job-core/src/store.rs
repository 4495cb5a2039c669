use std::{fmt, future::ready, pin::Pin, time::Duration};

use crate::{
    Cancellation, Claim, Created, Detail, IdempotencyKey, JobHandle, JobId, JobPage, JobQuery,
    JobRecord, Lease, NewJob, Outcome, Principal, Renewal, Report, StoreError,
};

/// A boxed future, as the methods of [`JobStore`] return it.
///
/// ```
/// use tower_async_job_core::BoxFuture;
///
/// fn answer<'a>() -> BoxFuture<'a, u32> {
///     Box::pin(async { 42 })
/// }
/// # drop(answer());
/// ```
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The time for which a result is kept after its delivery, whether or not there is room for others.
///
/// ```
/// assert_eq!(tower_async_job_core::DELIVERED_KEPT.as_secs(), 60);
/// ```
pub const DELIVERED_KEPT: Duration = Duration::from_secs(60);

/// The numbers of bytes that a store keeps, and that it may keep.
///
/// ```
/// use tower_async_job_core::{JobStore, MemoryStore};
///
/// let usage = MemoryStore::new().usage().unwrap();
/// assert_eq!((usage.bytes, usage.max_bytes), (0, 256 << 20));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// The bytes that are kept or reserved.
    pub bytes: usize,
    /// The limit.
    pub max_bytes: usize,
}

/// Where jobs are kept.
///
/// # The life of a job
///
/// ```text
///            create            start, claim
///               │        ┌────────────────────┐
///               ▼        │                    ▼
///            queued ─────┘     release     running ──▶ done, failed, timed-out   (finish)
///               ▲ └──────────────────────────┘ │
///               └── lease over, request kept ──┤
///                                              ├─────▶ lost                      (no request)
///                                              └─────▶ cancelled                 (also if queued)
///    any end ──▶ (retention) ──▶ expired ──▶ (retention) ──▶ unknown
/// ```
///
/// `queued` and `running` are *pending*; a job is never pending again once it has ended.
///
/// # What every method promises
///
/// - **One step.** Every change is one conditional write: it takes place as a whole or not at all,
///   and no reader sees a part of it. The condition is part of the write, so two callers never
///   both succeed at what only one may.
/// - **Fenced.** A write in the name of a [`Lease`] needs the job to be pending with the lease's
///   epoch. Otherwise it changes nothing and fails with
///   [`is_lease_lost`](StoreError::is_lease_lost), a missing job included.
/// - **The store's clock.** Leases, retention, ages and deadlines are reckoned by the clock of the
///   store alone, which does not run backwards. No caller's clock counts.
/// - **Committed.** When a method returns `Ok`, what it did is as durable as the store can make
///   it, and every later call on any node sees it.
/// - **Unknown outcomes.** After [`is_unavailable`](StoreError::is_unavailable), the change may
///   have been made. Every method says what repeating it does.
/// - **Short turns.** No poll of a future holds its thread for long, however many jobs there are:
///   long work is divided, and other tasks have a turn between its parts.
/// - **Cancel safety.** Nothing happens until a future is polled. A future dropped half way leaves
///   the change made as a whole or not at all; nothing is locked and no waiter remains. What
///   became of it is found by repeating the call, as after an error.
///
/// # Errors
///
/// Every method may fail with `is_unavailable`; those that read what is stored also with
/// `is_corrupt` and `is_unsupported_version`, for that job alone and without deleting it. Beyond
/// these, each method says how it fails.
///
/// # Example
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use std::sync::Arc;
/// use http::{HeaderMap, StatusCode};
/// use http_polling::JobState;
/// use tower_async_job_core::{
///     Created, Detail, JobId, JobStore, MemoryStore, NewJob, Outcome, StoredResponse,
/// };
///
/// let store: Arc<dyn JobStore> = Arc::new(MemoryStore::new());
/// let id = JobId::random();
/// let Created::New(lease) = store.create(NewJob::new(id)).await? else { unreachable!() };
///
/// let answer = StoredResponse::recorder(StatusCode::OK, &HeaderMap::new(), 0).finish(None);
/// store.finish(&lease, Outcome::Done(answer)).await?;
///
/// let record = store.read(&id, Detail::Full).await?.unwrap();
/// assert_eq!(record.state, JobState::Done);
/// assert!(record.outcome.is_some());
/// # Ok(()) }
/// ```
pub trait JobStore: fmt::Debug + Send + Sync + 'static {
    /// Stores a new job and gives the caller the lease of epoch 1, with
    /// [room](NewJob::result_room) for its result.
    ///
    /// Atomic with the look for the idempotency key, if there is one: of any number of creates
    /// with the same principal and key, one makes a job. The others get
    /// [`Created::Existing`] if their fingerprint is the same, [`Created::KeyReused`] if it is
    /// not. The key counts until the job's retention is over, also if its result was dropped before
    /// that since it was [delivered](Self::note_delivery) or [removed](Self::remove): no repeat runs
    /// the work a second time.
    ///
    /// Repeating it, with the same id and handle while the job is pending at its first epoch,
    /// gives the same lease again. This goes before the look for the key.
    ///
    /// # Errors
    ///
    /// [`is_full`](StoreError::is_full) if there is no room, and
    /// [`is_conflict`](StoreError::is_conflict) if the id is that of another job. Then nothing is
    /// stored.
    fn create(&self, job: NewJob) -> BoxFuture<'_, Result<Created, StoreError>>;

    /// Stores a new job at once, if the store can do that without waiting: the submission is then
    /// accepted without a future. If it cannot, it gives the job back, has changed nothing, and the
    /// caller goes on to [`create`](Self::create).
    ///
    /// Anything else is what `create` would give at this moment, errors included. It does no I/O
    /// and waits for no other task; a short lock is allowed. By default it always gives the job
    /// back.
    #[allow(clippy::result_large_err, reason = "the job is given back as it came")]
    fn create_now(&self, job: NewJob) -> Result<Result<Created, StoreError>, NewJob> {
        Err(job)
    }

    /// What [`create`](Self::create) would find of an idempotency key: [`Created::Existing`] or
    /// [`Created::KeyReused`]; `None` if it would make a job. Changes nothing, so that it serves
    /// where there is no place for another job.
    fn look_up<'a>(
        &'a self,
        principal: Option<&'a Principal>,
        key: &'a IdempotencyKey,
    ) -> BoxFuture<'a, Result<Option<Created>, StoreError>>;

    /// Begins the first run of a job that was created queued: queued becomes running, and the
    /// number of attempts 1.
    ///
    /// Repeating it changes nothing and is `Ok`, as is starting a job that runs by this lease.
    ///
    /// # Errors
    ///
    /// [`is_lease_lost`](StoreError::is_lease_lost).
    fn start<'a>(&'a self, lease: &'a Lease) -> BoxFuture<'a, Result<(), StoreError>>;

    /// Prolongs leases by the [lease duration](Self::lease_duration) from now, and says in the
    /// same order what became of each.
    ///
    /// Atomic for each lease by itself. One that has run out, but that nobody has taken over yet,
    /// is held again. A missing job, an ended one and a later epoch are [`Renewal::Lost`].
    /// Repeating it prolongs again.
    fn renew<'a>(&'a self, leases: &'a [Lease]) -> BoxFuture<'a, Result<Vec<Renewal>, StoreError>>;

    /// Records what the handler says. Members that are `None` leave what was said before.
    ///
    /// Repeating it changes nothing more.
    ///
    /// # Errors
    ///
    /// [`is_lease_lost`](StoreError::is_lease_lost); [`is_full`](StoreError::is_full) if there is
    /// no room, and then what was said before stays.
    fn report<'a>(
        &'a self,
        lease: &'a Lease,
        report: Report,
    ) -> BoxFuture<'a, Result<(), StoreError>>;

    /// Reserves room for the result of a job that runs by this lease: for so many bytes in all, if
    /// no more are reserved. It is the job's until it ends, and then goes to its outcome.
    ///
    /// Called while a result is recorded, so that what is being recorded counts as what is stored
    /// does. By default nothing is reserved, for stores that do not limit bytes. Repeating it
    /// changes nothing.
    ///
    /// # Errors
    ///
    /// [`is_lease_lost`](StoreError::is_lease_lost); [`is_full`](StoreError::is_full) if there is
    /// no room, and then what was reserved before stays.
    fn reserve<'a>(
        &'a self,
        lease: &'a Lease,
        bytes: usize,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        let _ = (lease, bytes);
        Box::pin(ready(Ok(())))
    }

    /// Returns whether there is room for a job with a result of so many bytes, to be asked before
    /// the work for it begins. Reserves nothing. It does no I/O and waits for no other task; a
    /// short lock is allowed. By default there is always room.
    ///
    /// # Errors
    ///
    /// [`is_full`](StoreError::is_full).
    fn check_room(&self, bytes: usize) -> Result<(), StoreError> {
        let _ = bytes;
        Ok(())
    }

    /// Notes that a client has read a job's result to its end. A store that is short of room may
    /// then drop the result before its retention is over, though not within
    /// [`DELIVERED_KEPT`] from the latest note. Other results are never dropped before.
    ///
    /// With `keep` the result's retention ends so long from now, unless it ends sooner or was
    /// [extended](Self::extend).
    ///
    /// It does no I/O and waits for nothing: a store that has to write does that later. A note that
    /// is lost keeps a result for longer, and nothing else. By default nothing is noted.
    fn note_delivery(&self, id: &JobId, keep: Option<Duration>) {
        let _ = (id, keep);
    }

    /// Ends the job with its outcome, which is kept for the job's retention from now. The kept
    /// request and the lease are dropped, and everybody who waits for the [end](Self::ended) is
    /// woken.
    ///
    /// Repeating it with the same lease and outcome, as long as the outcome is kept, changes
    /// nothing and is `Ok`. A job that was cancelled stays so: cancelling beats finishing.
    ///
    /// # Errors
    ///
    /// [`is_lease_lost`](StoreError::is_lease_lost); [`is_full`](StoreError::is_full) if there is
    /// no room for the outcome, and then the job stays pending and the lease held.
    fn finish<'a>(
        &'a self,
        lease: &'a Lease,
        outcome: Outcome,
    ) -> BoxFuture<'a, Result<(), StoreError>>;

    /// Hands a job back, as at a shutdown. With a kept request it is queued again, with its epoch
    /// raised, and anybody may [claim](Self::claim) it; otherwise it ends as lost.
    ///
    /// Repeating it fails with `is_lease_lost`, since the lease is given up.
    ///
    /// # Errors
    ///
    /// [`is_lease_lost`](StoreError::is_lease_lost).
    fn release<'a>(&'a self, lease: &'a Lease) -> BoxFuture<'a, Result<(), StoreError>>;

    /// Takes a job back that nobody was told of: it is gone, with its idempotency key, as if it
    /// had never been created.
    ///
    /// A missing job is `Ok`, so that it can be repeated.
    ///
    /// # Errors
    ///
    /// [`is_lease_lost`](StoreError::is_lease_lost) if the job is there, but ended or at another
    /// epoch.
    fn discard<'a>(&'a self, lease: &'a Lease) -> BoxFuture<'a, Result<(), StoreError>>;

    /// Reads a job; changes nothing. `None` if there is none, or no longer.
    ///
    /// The result is never served beyond its retention, whether or not a
    /// [sweep](Self::sweep) has come by.
    fn read<'a>(
        &'a self,
        id: &'a JobId,
        detail: Detail,
    ) -> BoxFuture<'a, Result<Option<JobRecord>, StoreError>>;

    /// Reads a job at once, if the store can do that without waiting: the poll of a job is then
    /// answered without a future. `None` if it cannot, which says nothing about the job, and the
    /// caller goes on to [`read`](Self::read).
    ///
    /// Anything else is what `read` would give at this moment, errors included. It does no I/O and
    /// waits for no other task; a short lock is allowed. A store that can answer at once at times
    /// only, as from a cache, has to know that what it has is the latest. By default it is always
    /// `None`.
    fn read_now(
        &self,
        id: &JobId,
        detail: Detail,
    ) -> Option<Result<Option<JobRecord>, StoreError>> {
        let _ = (id, detail);
        None
    }

    /// Waits until the job is no longer pending, or is not there.
    ///
    /// May also return early, so the caller reads again. It returns at once if the job is not
    /// pending: the store first subscribes to changes and then looks, so that no end falls
    /// between. A lost notification of a remote store delays it by a fallback interval of that
    /// store, and no more. It has no limit of its own: give it a timeout. Dropping it frees its
    /// place.
    fn ended<'a>(&'a self, id: &'a JobId) -> BoxFuture<'a, Result<(), StoreError>>;

    /// Ends a pending job as cancelled, voids its lease, and wakes everybody who waits for it.
    ///
    /// Visible on every node before it returns. Its worker learns of it by its next renewal, or
    /// by waiting for the [end](Self::ended). A missing job is [`Cancellation::Unknown`].
    /// Repeating it gives [`Cancellation::Ended`].
    fn cancel<'a>(&'a self, id: &'a JobId) -> BoxFuture<'a, Result<Cancellation, StoreError>>;

    /// Drops an ended job with its result; from then on it is unknown. One with an idempotency key
    /// that still [counts](Self::create) is expired instead until it does no more. Says whether it
    /// did: a pending or missing job is `false`, and stays as it is. Repeating it changes nothing
    /// more.
    fn remove<'a>(&'a self, id: &'a JobId) -> BoxFuture<'a, Result<bool, StoreError>>;

    /// Keeps the result of an ended job for at least this long from now; never shortens. Says
    /// whether it did: a pending, expired or missing job is `false`, and stays as it is.
    fn extend<'a>(
        &'a self,
        id: &'a JobId,
        keep: Duration,
    ) -> BoxFuture<'a, Result<bool, StoreError>>;

    /// Takes over jobs that are to be run again, at most `limit`, those that have waited longest
    /// first where the store can tell: jobs with a kept request that were handed back, or whose
    /// lease has run out. Each is running from now, at the next epoch and attempt.
    ///
    /// Atomic for each job by itself: nobody else gets the same one. A job that has begun all its
    /// runs ends as failed, and one beyond its deadline as timed-out, instead of being returned.
    /// One that cannot be read is left out. It may return fewer than `limit` though there are
    /// more.
    fn claim(&self, limit: usize) -> BoxFuture<'_, Result<Vec<Claim>, StoreError>>;

    /// Does what is due: jobs whose lease has run out are queued again or end as lost, results
    /// beyond their retention become expired, and expired jobs are forgotten.
    ///
    /// Returns after how long it wants to be called again; `None` if there is no job at all, and
    /// the next create is time enough, so that an idle node needs no timer. Zero means that it
    /// stopped half way, so that the caller can attend to other duties. It may run on any number of
    /// nodes at once.
    fn sweep(&self) -> BoxFuture<'_, Result<Option<Duration>, StoreError>>;

    /// The job with this handle, for operators; `None` if there is none.
    fn find(&self, handle: JobHandle) -> BoxFuture<'_, Result<Option<JobId>, StoreError>>;

    /// One page of the jobs, newest first, for operators. May look at every job, and is no
    /// snapshot: a job that changes meanwhile may show in either state, and one that comes or goes
    /// may show or not. Every other job shows on exactly one of the pages.
    fn list<'a>(&'a self, query: &'a JobQuery) -> BoxFuture<'a, Result<JobPage, StoreError>>;

    /// Returns the numbers of bytes that are kept and that may be; `None`, the default, if the store does not
    /// know at once.
    fn usage(&self) -> Option<Usage> {
        None
    }

    /// How long a lease lasts without being renewed. `None`: as long as the process, so that
    /// renewing is needless.
    fn lease_duration(&self) -> Option<Duration>;
}
