use std::{fmt, future::ready, pin::Pin, time::Duration};

use bytes::Bytes;

use crate::{
    claim::{Claim, ClaimQuery, Claims},
    end::{End, Report},
    error::StoreError,
    id::{JobHandle, JobId},
    job::NewJob,
    lease::{Lease, Outside, Release, Released, Renewal},
    owner::{IdempotencyKey, Principal},
    properties::{StoreProperties, Upkeep, Usage},
    query::{JobPage, JobQuery},
    record::{Cancellation, Created, Detail, JobRecord, ResultRef},
    subscription::Subscription,
};

/// The boxed future of a call to a [`JobStore`].
///
/// ```
/// use tower_async_job_core::StoreFuture;
///
/// fn answer<'a>() -> StoreFuture<'a, u32> {
///     Box::pin(async { Ok(42) })
/// }
/// # drop(answer());
/// ```
pub type StoreFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// The time for which a result is kept after its delivery, whether or not there is room for others.
///
/// ```
/// assert_eq!(tower_async_job_core::DELIVERED_KEPT.as_secs(), 60);
/// ```
pub const DELIVERED_KEPT: Duration = Duration::from_secs(60);

/// The time for which the chunks of a result are kept after its job has expired or was removed, and
/// after each later read of one of them.
///
/// ```
/// assert_eq!(tower_async_job_core::CHUNKS_LINGER.as_secs(), 600);
/// ```
pub const CHUNKS_LINGER: Duration = Duration::from_secs(600);

/// A store of jobs.
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
/// - **Fenced.** A write in the name of a [`Lease`] needs the job to be pending and held with the
///   lease's epoch. Otherwise it changes nothing and fails with
///   [`is_lease_lost`](StoreError::is_lease_lost), a missing job included.
/// - **The store's clock.** Leases, retention, ages and deadlines are reckoned by the clock of the
///   store alone, and are stored as absolute times. No caller's clock counts. If that clock is set
///   back, a lease lasts at most one lease duration longer.
/// - **Committed.** When a method returns `Ok`, what it did is as durable as the store can make
///   it, and every later call on any node sees it.
/// - **Bounded.** Every call ends within a fixed time, if need be as
///   [`is_unavailable`](StoreError::is_unavailable).
/// - **Unknown outcomes.** After `is_unavailable`, the change may have been made. Every method
///   says what repeating it does.
/// - **Short turns.** No poll of a future holds its thread for long, however many jobs there are:
///   long work is divided, and other tasks have a turn between its parts.
/// - **Cancel safety.** Nothing happens until a future is polled. A future dropped half way leaves
///   the change made as a whole or not at all; nothing is locked and no waiter remains. The result
///   is found by repeating the call, as after an error.
/// - **Formats.** Each stored job has a format number of its own, beside those of its messages.
///   Claims and sweeps do not touch a job of a format that is newer than theirs.
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
/// use tower_async_job_core::{Detail, JobId, JobStore, MemoryStore, NewJob, Outcome, StoredResponse};
///
/// let store: Arc<dyn JobStore> = Arc::new(MemoryStore::new());
/// let job = NewJob::new(store.new_id(None, None));
/// let (id, lease) = (job.id, job.first_lease());
/// store.create(job).await?;
///
/// let answer = StoredResponse::recorder(StatusCode::OK, &HeaderMap::new(), 0).finish(None);
/// store.finish(&lease, Outcome::Done(answer).into()).await?;
///
/// let record = store.read(&id, Detail::Full).await?.unwrap();
/// assert_eq!(record.state, JobState::Done);
/// assert!(record.outcome.is_some());
/// # Ok(()) }
/// ```
pub trait JobStore: fmt::Debug + Send + Sync + 'static {
    /// Returns the fixed properties of the store.
    fn properties(&self) -> &StoreProperties;

    /// Draws the id of a job that will be created with this key and principal. A store that needs
    /// both in one place draws until they are; by default the id is random.
    fn new_id(&self, key: Option<&IdempotencyKey>, principal: Option<&Principal>) -> JobId {
        let _ = (key, principal);
        JobId::random()
    }

    /// Stores a new job, with [room](NewJob::result_room) for its result, and gives the caller its
    /// [first lease](NewJob::first_lease), or [offers](crate::Start::Offered) it to all workers.
    ///
    /// Atomic with the look for the idempotency key, if there is one: of any number of creates
    /// with the same principal and key, one makes a job. The others get
    /// [`Created::Existing`] if their fingerprint is the same, [`Created::KeyReused`] if it is
    /// not. The key counts until the job's retention is over, also if its result was dropped before
    /// that since it was [delivered](Self::note_delivery) or [removed](Self::remove): no repeat runs
    /// the work a second time.
    ///
    /// Repeating it, with the same id and handle while the job is pending at its first epoch,
    /// gives the same answer again; that of an offered job does so whatever has become of it. This
    /// takes precedence over the look for the key. A caller that does not learn the outcome repeats
    /// the create for a third of the lease duration, and then [discards](Self::discard) it.
    ///
    /// # Errors
    ///
    /// [`is_full`](StoreError::is_full) if there is no room, and
    /// [`is_conflict`](StoreError::is_conflict) if the id is that of another job, or of one that
    /// was discarded or removed. Then nothing is stored.
    fn create(&self, job: NewJob) -> StoreFuture<'_, Created>;

    /// Stores a new job at once, if the store can do that without waiting: the submission is then
    /// accepted without a future. If it cannot, it gives the job back, has changed nothing, and the
    /// caller goes on to [`create`](Self::create).
    ///
    /// Any other answer is the one that `create` would give at this moment, errors included. It
    /// does no I/O and waits for no other task; a short lock is allowed. By default it always gives
    /// the job back.
    #[allow(clippy::result_large_err, reason = "the job is given back as it came")]
    fn create_now(&self, job: NewJob) -> Result<Result<Created, StoreError>, NewJob> {
        Err(job)
    }

    /// Returns what [`create`](Self::create) would find of an idempotency key:
    /// [`Created::Existing`] or [`Created::KeyReused`]; `None` if it would make a job. Changes
    /// nothing, so that it serves where there is no place for another job.
    fn look_up<'a>(
        &'a self,
        principal: Option<&'a Principal>,
        key: &'a IdempotencyKey,
    ) -> StoreFuture<'a, Option<Created>>;

    /// Begins the first run of a job that was created [queued](crate::Start::Queued): queued
    /// becomes running, and the number of attempts 1.
    ///
    /// Repeating it changes nothing and is `Ok`, as is starting a job that runs by this lease.
    ///
    /// # Errors
    ///
    /// [`is_lease_lost`](StoreError::is_lease_lost).
    fn start<'a>(&'a self, lease: &'a Lease) -> StoreFuture<'a, ()>;

    /// Prolongs leases by the [lease duration](StoreProperties::lease) from now, and returns the
    /// fate of each in the same order.
    ///
    /// Atomic for each lease by itself. One that has run out, but whose job no other has taken over
    /// yet, is held again. Repeating it prolongs again.
    fn renew<'a>(&'a self, leases: &'a [Lease]) -> StoreFuture<'a, Vec<Renewal>>;

    /// Records a handler's report. Members that are `None` leave what was said before.
    ///
    /// Repeating it changes nothing more.
    ///
    /// # Errors
    ///
    /// [`is_lease_lost`](StoreError::is_lease_lost); [`is_full`](StoreError::is_full) if there is
    /// no room, and then what was said before stays.
    fn report<'a>(&'a self, lease: &'a Lease, report: Report) -> StoreFuture<'a, ()>;

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
    fn reserve<'a>(&'a self, lease: &'a Lease, bytes: usize) -> StoreFuture<'a, ()> {
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

    /// Writes one chunk of the body of a result, where the store has a
    /// [chunk size](StoreProperties::chunk). The first has the index 0, and all but the last are of
    /// that size. No reader sees chunks before the run [finishes](Self::finish) with them.
    ///
    /// Chunks belong to the lease: another run of the same job writes others. They need not be
    /// durable before the job is finished. Writing an index again replaces the chunk.
    ///
    /// # Errors
    ///
    /// [`is_lease_lost`](StoreError::is_lease_lost); [`is_full`](StoreError::is_full).
    fn write_chunk<'a>(&'a self, lease: &'a Lease, index: u32, data: Bytes) -> StoreFuture<'a, ()>;

    /// Ends the job with its outcome, which is kept for the job's retention from now, and with the
    /// last report, in one step. The kept request and the lease are dropped, the
    /// [notification](NewJob::notify) becomes due, and all [subscriptions](Self::subscribe) are
    /// woken.
    ///
    /// Repeating it with the same lease and an outcome of the same [state](crate::Outcome::state),
    /// as long as the outcome is kept, changes nothing and is `Ok`; contents are not compared. A job
    /// that was cancelled stays so: cancelling beats finishing.
    ///
    /// # Errors
    ///
    /// [`is_lease_lost`](StoreError::is_lease_lost); [`is_full`](StoreError::is_full) if there is
    /// no room for the outcome, and then the job stays pending and the lease held. A report without
    /// room is left out.
    fn finish<'a>(&'a self, lease: &'a Lease, end: End) -> StoreFuture<'a, ()>;

    /// Gives up leases before their jobs have ended, and returns the fate of each job in the same
    /// order. Atomic for each lease by itself.
    ///
    /// With a kept request the job is queued again, with its epoch raised, and after
    /// [some time](Release::after) any worker may [claim](Self::claim) it. It ends as failed instead
    /// if it has begun all its runs, this one included if it [counts](Release::counts), and as lost
    /// if no request was kept. Progress and partial result of the run are dropped; metadata and
    /// checkpoint stay.
    ///
    /// With a party [outside](Release::outside) the job stays running in its hands, with its epoch
    /// raised and its progress kept; see [`resume`](Self::resume). Once its time is over, the job
    /// is released as above, and the attempt counts.
    ///
    /// Repeating it gives [`Released::Lost`].
    fn release<'a>(&'a self, leases: &'a [Lease], how: Release) -> StoreFuture<'a, Vec<Released>>;

    /// Takes a job over in the name of a party [outside](Outside) that shows a token with this
    /// digest: the caller gets a new lease, with the epoch raised and the attempt kept, to record
    /// the party's response. A lease that was resumed before is void. `None` if the job is not, or
    /// no longer, in the hands of this party.
    ///
    /// When that lease runs out or is given up without an end, the job is back in the hands of the
    /// party while its time lasts. Repeating it takes the job over again.
    fn resume<'a>(&'a self, id: &'a JobId, token: &'a [u8; 32]) -> StoreFuture<'a, Option<Claim>>;

    /// Records a report of a party outside, whose token has the digest in `outside`, and gives it
    /// the time in `outside` from now, in one step. A lease that was [resumed](Self::resume) stays.
    ///
    /// [`Renewal::Held`] if the job is in the hands of this party; otherwise nothing changes, and
    /// the answer is as of [`renew`](Self::renew). Repeating it prolongs again.
    ///
    /// # Errors
    ///
    /// [`is_full`](StoreError::is_full) if there is no room, and then nothing changes.
    fn renew_outside<'a>(
        &'a self,
        id: &'a JobId,
        outside: Outside,
        report: Report,
    ) -> StoreFuture<'a, Renewal>;

    /// Deletes a job that was never announced, with its idempotency key, as if it had never been
    /// created. Nothing is notified.
    ///
    /// It also voids a create that is still on its way: for one lease duration, or for a minute
    /// where leases have none, no create makes a job of this id. A missing job is `Ok`, so that it
    /// can be repeated.
    ///
    /// # Errors
    ///
    /// [`is_lease_lost`](StoreError::is_lease_lost) if the job is there, but ended or at another
    /// epoch.
    fn discard<'a>(&'a self, lease: &'a Lease) -> StoreFuture<'a, ()>;

    /// Reads a job; changes nothing. `None` if there is none, or no longer.
    ///
    /// The result is never served beyond its retention, whether or not a
    /// [sweep](Self::sweep) has come by. A read never returns a state that is older than the call.
    fn read<'a>(&'a self, id: &'a JobId, detail: Detail) -> StoreFuture<'a, Option<JobRecord>>;

    /// Reads a job at once, if the store can do that without waiting: the poll of a job is then
    /// answered without a future. `None` if it cannot, which says nothing about the job, and the
    /// caller goes on to [`read`](Self::read).
    ///
    /// Any other answer is the one that `read` would give at this moment, errors included. It does
    /// no I/O and waits for no other task; a short lock is allowed. A store that can answer at once
    /// at times only, as from a cache, has to know that what it has is the latest. By default it is
    /// always `None`.
    fn read_now(
        &self,
        id: &JobId,
        detail: Detail,
    ) -> Option<Result<Option<JobRecord>, StoreError>> {
        let _ = (id, detail);
        None
    }

    /// Reads one chunk of a result; `None` if it is there no longer.
    ///
    /// Chunks outlive the expiry and the removal of their job by [`CHUNKS_LINGER`], which begins
    /// anew with each read, so that a download that has begun comes to its end.
    fn read_chunk<'a>(
        &'a self,
        result: &'a ResultRef,
        index: u32,
    ) -> StoreFuture<'a, Option<Bytes>>;

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

    /// Subscribes to the end of a job: the subscription resolves once the job is no longer pending,
    /// or is not there.
    ///
    /// It is registered when this returns, so that a caller that then reads the job misses no end
    /// that comes later. It does no I/O, and may resolve early, so the caller reads again. A lost
    /// notification of a remote store delays it by a fallback interval of that store, and no more.
    /// It has no limit of its own: give it a timeout. Dropping it frees its place.
    fn subscribe(&self, id: &JobId) -> Subscription;

    /// Ends a pending job as cancelled, voids its lease, makes its notification due, and wakes all
    /// [subscriptions](Self::subscribe).
    ///
    /// Visible on every node before it returns. Its worker learns of it by its next renewal, or
    /// by a subscription. A missing job is [`Cancellation::Unknown`]. Repeating it gives
    /// [`Cancellation::Ended`].
    fn cancel<'a>(&'a self, id: &'a JobId) -> StoreFuture<'a, Cancellation>;

    /// Drops an ended job with its result; from then on it is unknown. One with an idempotency key
    /// that still [counts](Self::create), or with a notification that is due, is expired instead
    /// until it does no more. Returns whether it did: a pending or missing job is `false`, and stays
    /// as it is. Repeating it changes nothing more.
    fn remove<'a>(&'a self, id: &'a JobId) -> StoreFuture<'a, bool>;

    /// Keeps the result of an ended job for at least this long from now; never shortens. Returns
    /// whether it did: a pending, expired or missing job is `false`, and stays as it is.
    fn extend<'a>(&'a self, id: &'a JobId, keep: Duration) -> StoreFuture<'a, bool>;

    /// Takes over what the query asks for, in a fair order, the longest waiting first where the
    /// store knows none.
    ///
    /// - **Work**: jobs with a kept request that were offered or released, or whose lease has run
    ///   out. Each is running from now, at the next epoch and attempt, without the progress and the
    ///   partial result of an earlier run. A job that has begun all its runs ends as failed, and one
    ///   beyond its deadline as timed-out, instead of being returned. One whose record cannot be
    ///   read ends as failed, once, and is [named](Claims::unreadable).
    /// - **Notifications** of ended jobs: each is the caller's for one lease duration, or for a
    ///   minute where leases have none, and then due again.
    ///
    /// Atomic for each job by itself: no other caller gets the same one. It may return fewer than
    /// `limit` though there are more.
    fn claim<'a>(&'a self, query: &'a ClaimQuery) -> StoreFuture<'a, Claims>;

    /// Ends an attempt to notify. The notification is due again after the time in `again`; without
    /// one it is done, and never claimed again.
    ///
    /// A notification is given up when the retention of its job is over, and not before, so it is
    /// sent at least once unless every attempt fails. Repeating it changes nothing.
    ///
    /// # Errors
    ///
    /// [`is_lease_lost`](StoreError::is_lease_lost) if it was claimed again since, is done, or was
    /// given up.
    fn notified<'a>(&'a self, lease: &'a Lease, again: Option<Duration>) -> StoreFuture<'a, ()>;

    /// Subscribes to new things to [claim](Self::claim), of either kind: the subscription resolves
    /// once there may be one.
    ///
    /// As [`subscribe`](Self::subscribe), it is registered when this returns and may resolve early.
    /// Nothing is said of what becomes claimable by the passing of time; see [`Claims::next`].
    fn work(&self) -> Subscription;

    /// Does what is due: jobs whose lease has run out are queued again or end as lost, results
    /// beyond their retention become expired, and expired jobs are forgotten. It may run on any
    /// number of nodes at once.
    fn sweep(&self) -> StoreFuture<'_, Upkeep>;

    /// Finds the job with this handle, for operators; `None` if there is none.
    fn find(&self, handle: JobHandle) -> StoreFuture<'_, Option<JobId>>;

    /// Returns one page of the jobs, newest first. May look at every job, and is no snapshot: a job
    /// that changes meanwhile may show in either state, and one that comes or goes may show or not.
    /// Every other job shows on exactly one of the pages, but for those that cannot be read, which
    /// are [counted](JobPage::unreadable).
    fn list<'a>(&'a self, query: &'a JobQuery) -> StoreFuture<'a, JobPage>;

    /// Returns the bytes that are kept and that may be; `None`, the default, if the store does not
    /// know at once.
    fn usage(&self) -> Option<Usage> {
        None
    }
}
