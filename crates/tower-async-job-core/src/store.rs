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
    properties::{StoreProperties, SweepQuery, Upkeep, Usage},
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

/// The time for which a result is kept after its delivery, even if the store is full.
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
#[doc = include_str!("store/contract.md")]
pub trait JobStore: fmt::Debug + Send + Sync + 'static {
    /// Returns the fixed properties of the store.
    fn properties(&self) -> &StoreProperties;

    /// Generates the id of a job that will be created with this key and principal. A store that
    /// needs both in one place generates ids until they are; by default the id is random.
    fn new_id(&self, key: Option<&IdempotencyKey>, principal: Option<&Principal>) -> JobId {
        let _ = (key, principal);
        JobId::random()
    }

    /// Stores a new job, with [room](NewJob::result_room) for its result, and gives the caller its
    /// [first lease](NewJob::first_lease), or [offers](crate::Start::Offered) it to all workers.
    ///
    /// The check for the idempotency key is part of the same atomic step: of any number of creates
    /// with the same principal and key, one creates a job. The others return [`Created::Existing`]
    /// if their fingerprint is the same, or else [`Created::KeyReused`]. The key counts until the
    /// job's retention is over, even if its result was dropped earlier because it was
    /// [delivered](Self::note_delivery) or [removed](Self::remove): no repeat runs the work a
    /// second time.
    ///
    /// Repeating it with the same id, handle and [epoch](NewJob::epoch) returns the same answer while
    /// the job is pending at that epoch, and always if it was offered. This takes precedence over
    /// the check for the key. A caller that does not learn the outcome repeats the create for a
    /// third of the lease duration, and then [discards](Self::discard) the job. If the job has a
    /// key, by which others may have found it, the caller repeats the create for longer, and then
    /// [releases](Self::release) it.
    ///
    /// # Errors
    ///
    /// [`is_full`](StoreError::is_full) if there is no room,
    /// [`is_quota_exceeded`](StoreError::is_quota_exceeded) or
    /// [`is_queue_full`](StoreError::is_queue_full) if more jobs wait than its
    /// [limits](NewJob::queue_limit) allow, and [`is_conflict`](StoreError::is_conflict) if another
    /// job has the id, or one that was discarded or removed. Nothing is stored then, and no key is
    /// taken.
    ///
    /// The limits of waiting jobs are checked in the same step, after the id and the key. A store
    /// that cannot count in one step may exceed them, at most by the number of creates in flight
    /// on its nodes; it documents that.
    fn create(&self, job: NewJob) -> StoreFuture<'_, Created>;

    /// Stores a new job immediately, if the store can do that without waiting: the submission is
    /// then accepted without a future. Otherwise it returns the job, has changed nothing, and the
    /// caller proceeds to [`create`](Self::create).
    ///
    /// Any other answer is the one that `create` would return at this moment, including errors. It
    /// does no I/O and waits for no other task; a short lock is allowed. By default it always
    /// returns the job.
    #[allow(clippy::result_large_err, reason = "the job is given back as it came")]
    fn create_now(&self, job: NewJob) -> Result<Result<Created, StoreError>, NewJob> {
        Err(job)
    }

    /// Returns the answer of [`create`](Self::create) to an idempotency key that is taken:
    /// [`Created::Existing`] or [`Created::KeyReused`]; `None` if it would create a job. Changes
    /// nothing, so it needs no room for another job.
    fn look_up<'a>(
        &'a self,
        principal: Option<&'a Principal>,
        key: &'a IdempotencyKey,
    ) -> StoreFuture<'a, Option<Created>>;

    /// Begins the first run of a job that was created [queued](crate::Start::Queued): queued
    /// becomes running, and the number of attempts 1.
    ///
    /// Repeating it, or starting a job that already runs by this lease, is `Ok` and changes
    /// nothing.
    ///
    /// # Errors
    ///
    /// [`is_lease_lost`](StoreError::is_lease_lost).
    fn start<'a>(&'a self, lease: &'a Lease) -> StoreFuture<'a, ()>;

    /// Prolongs leases by the [lease duration](StoreProperties::lease) from now, and returns the
    /// fate of each in the same order.
    ///
    /// Atomic for each lease. An expired lease whose job has not been taken over is held again.
    /// It never fails for the sake of one job: one that cannot be read is [`Renewal::Lost`], and the
    /// others are renewed. Repeating it prolongs again.
    fn renew<'a>(&'a self, leases: &'a [Lease]) -> StoreFuture<'a, Vec<Renewal>>;

    /// Records a handler's report. Fields that are `None` leave the stored values unchanged.
    ///
    /// Repeating it changes nothing.
    ///
    /// # Errors
    ///
    /// [`is_lease_lost`](StoreError::is_lease_lost); [`is_full`](StoreError::is_full) if there is
    /// no room, and the previous report then stays.
    fn report<'a>(&'a self, lease: &'a Lease, report: Report) -> StoreFuture<'a, ()>;

    /// Reserves room for the result of a job that runs by this lease: raises its reservation to
    /// `bytes`. The job keeps it until it ends, and then its outcome does.
    ///
    /// It is called while a result is recorded, so that recordings count like stored results. By
    /// default it reserves nothing, for stores that do not limit bytes. Repeating it changes
    /// nothing.
    ///
    /// # Errors
    ///
    /// [`is_lease_lost`](StoreError::is_lease_lost); [`is_full`](StoreError::is_full) if there is
    /// no room, and the previous reservation then stays.
    fn reserve<'a>(&'a self, lease: &'a Lease, bytes: usize) -> StoreFuture<'a, ()> {
        let _ = (lease, bytes);
        Box::pin(ready(Ok(())))
    }

    /// Returns whether there is room for a job with a result of `bytes`, before its work begins.
    /// Reserves nothing. It does no I/O and waits for no other task; a short lock is allowed. By
    /// default there is always room.
    ///
    /// # Errors
    ///
    /// [`is_full`](StoreError::is_full).
    fn check_room(&self, bytes: usize) -> Result<(), StoreError> {
        let _ = bytes;
        Ok(())
    }

    /// Writes one chunk of a result's body, if the store has a [chunk
    /// size](StoreProperties::chunk). The first has the index 0, and all except the last have that
    /// size. No reader sees chunks before the run [finishes](Self::finish) with them.
    ///
    /// Chunks belong to the lease: another run of the same job writes its own. They need not be
    /// durable before the job is finished. Writing an index again replaces the chunk.
    ///
    /// # Errors
    ///
    /// [`is_lease_lost`](StoreError::is_lease_lost); [`is_full`](StoreError::is_full).
    fn write_chunk<'a>(&'a self, lease: &'a Lease, index: u32, data: Bytes) -> StoreFuture<'a, ()>;

    /// Ends the job with its outcome, which is kept for the job's retention from now, and its last
    /// report, in one step. The kept request and the lease are dropped, the
    /// [notification](NewJob::notify) becomes due, and all [subscriptions](Self::subscribe) are
    /// woken.
    ///
    /// Repeating it with the same lease and an outcome of the same [state](crate::Outcome::state)
    /// is `Ok` and changes nothing while the outcome is kept; contents are not compared. A
    /// cancelled job stays cancelled: cancelling takes precedence over finishing.
    ///
    /// # Errors
    ///
    /// [`is_lease_lost`](StoreError::is_lease_lost); [`is_full`](StoreError::is_full) if there is
    /// no room for the outcome, and the job then stays pending and the lease held. A report without
    /// room is left out.
    fn finish<'a>(&'a self, lease: &'a Lease, end: End) -> StoreFuture<'a, ()>;

    /// Releases leases before their jobs have ended, and returns the result for each job in the
    /// same order. Atomic for each lease. It never fails for the sake of one job: one that cannot be
    /// read is [`Released::Lost`], and the others are released.
    ///
    /// A job with a kept request is queued again, with its epoch raised, and any worker may
    /// [claim](Self::claim) it after [some time](Release::after). If it has begun all its runs,
    /// including this one if it [counts](Release::counts), it ends as failed instead. Without a
    /// kept request it ends as lost. The run's progress and partial result are dropped; metadata
    /// and checkpoint stay.
    ///
    /// With an [outside](Release::outside) party, the job stays running in its hands, with its
    /// epoch raised and its progress kept; see [`resume`](Self::resume). Once the party's time is
    /// over, the job is released as above, and the attempt counts.
    ///
    /// Repeating it returns [`Released::Lost`].
    fn release<'a>(&'a self, leases: &'a [Lease], how: Release) -> StoreFuture<'a, Vec<Released>>;

    /// Takes a job over in the name of an [outside](Outside) party, whose token has this digest:
    /// the caller gets a new lease, with the epoch raised and the attempt kept, to record the
    /// party's response. An earlier resumed lease is void. `None` if the job is not, or no longer,
    /// with this party.
    ///
    /// If that lease expires or is released without an end, the job returns to the party while its
    /// time lasts. Repeating it takes the job over again.
    fn resume<'a>(&'a self, id: &'a JobId, token: &'a [u8; 32]) -> StoreFuture<'a, Option<Claim>>;

    /// Records a report of an outside party, whose token has the digest in `outside`, and gives it
    /// the time in `outside` from now, in one step. A [resumed](Self::resume) lease stays.
    ///
    /// [`Renewal::Held`] if the job is with this party. Otherwise nothing changes, and the answer
    /// is like that of [`renew`](Self::renew). Repeating it prolongs again.
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
    /// It also voids a create in flight: for one lease duration, or for a minute if leases have
    /// none, no create stores a job with this id. A missing job is `Ok`, so that the call can be
    /// repeated; the id is then void for as long again.
    ///
    /// # Errors
    ///
    /// [`is_lease_lost`](StoreError::is_lease_lost) if the job exists, but has ended or has another
    /// epoch.
    fn discard<'a>(&'a self, lease: &'a Lease) -> StoreFuture<'a, ()>;

    /// Reads a job and changes nothing. `None` if it does not, or no longer, exist.
    ///
    /// The result is never served beyond its retention, even if no [sweep](Self::sweep) has run. A
    /// read never returns a state older than the call.
    fn read<'a>(&'a self, id: &'a JobId, detail: Detail) -> StoreFuture<'a, Option<JobRecord>>;

    /// Reads a job immediately, if the store can do that without waiting: a poll is then answered
    /// without a future. `None` if it cannot, which says nothing about the job; the caller proceeds
    /// to [`read`](Self::read).
    ///
    /// Any other answer is the one that `read` would return at this moment, including errors. It
    /// does no I/O and waits for no other task; a short lock is allowed. A store that answers only
    /// some reads, such as from a cache, must know that its data is the latest. By default it is
    /// always `None`.
    fn read_now(
        &self,
        id: &JobId,
        detail: Detail,
    ) -> Option<Result<Option<JobRecord>, StoreError>> {
        let _ = (id, detail);
        None
    }

    /// Reads one chunk of a result; `None` if it no longer exists.
    ///
    /// Chunks outlive the expiry and the removal of their job by [`CHUNKS_LINGER`], which restarts
    /// with each read, so that a running download completes.
    fn read_chunk<'a>(
        &'a self,
        result: &'a ResultRef,
        index: u32,
    ) -> StoreFuture<'a, Option<Bytes>>;

    /// Notes that a client has read a job's result to its end. A store that is short of room may
    /// then drop the result before its retention is over, though not within [`DELIVERED_KEPT`] of
    /// the latest note. Other results are never dropped early.
    ///
    /// With `keep`, the result's retention ends after this time from now, unless it ends sooner or
    /// was [extended](Self::extend).
    ///
    /// It does no I/O and waits for nothing: a store that has to write does that later. A lost note
    /// only keeps a result longer. By default nothing is noted.
    fn note_delivery(&self, id: &JobId, keep: Option<Duration>) {
        let _ = (id, keep);
    }

    /// Subscribes to the end of a job: the subscription resolves once the job is no longer pending
    /// or does not exist.
    ///
    /// It is registered when this returns, so a caller that then reads the job misses no later end.
    /// It does no I/O, and may resolve early, so the caller reads again. If a remote store loses a
    /// notification, it resolves after a fallback interval of that store. It has no timeout of its
    /// own. Dropping it frees its place.
    fn subscribe(&self, id: &JobId) -> Subscription;

    /// Ends a pending job as cancelled, voids its lease, makes its notification due, and wakes all
    /// [subscriptions](Self::subscribe).
    ///
    /// Visible on every node before it returns. Its worker learns of it by its next renewal, or by
    /// a subscription. A missing job is [`Cancellation::Unknown`]. Repeating it returns
    /// [`Cancellation::Ended`].
    fn cancel<'a>(&'a self, id: &'a JobId) -> StoreFuture<'a, Cancellation>;

    /// Drops an ended job with its result; it is then unknown. While its idempotency key still
    /// [counts](Self::create) or its notification is due, it is expired instead. Returns whether it
    /// was dropped: a pending or missing job is `false`, and unchanged. Repeating it changes
    /// nothing.
    ///
    /// If leases have a duration, the id is void for one, as after a [discard](Self::discard), so
    /// that a run that still lives does not store the job again.
    fn remove<'a>(&'a self, id: &'a JobId) -> StoreFuture<'a, bool>;

    /// Keeps the result of an ended job for at least this time from now; never shortens. Returns
    /// whether it does: a pending, expired or missing job is `false`, and unchanged.
    fn extend<'a>(&'a self, id: &'a JobId, keep: Duration) -> StoreFuture<'a, bool>;

    /// Claims tasks that match the query, in a fair order; by default, the longest waiting first.
    ///
    /// - **Work**: jobs with a kept request that were offered or released, or whose lease has
    ///   expired. Each is now running, at the next epoch and attempt, without the progress and
    ///   partial result of an earlier run. Instead of being returned, a job that has begun all its
    ///   runs ends as failed, and one past its deadline as timed-out. One whose record cannot be
    ///   read ends as failed, once, and is [reported](Claims::unreadable).
    /// - **Notifications** of ended jobs: each belongs to the caller for one lease duration, or for
    ///   a minute if leases have none, and is then due again.
    ///
    /// Atomic for each job: no other caller gets the same one. It may return fewer than `limit`
    /// even if there are more. Changes nothing if the store's clock is later than the query
    /// [expects](ClaimQuery::not_after).
    fn claim<'a>(&'a self, query: &'a ClaimQuery) -> StoreFuture<'a, Claims>;

    /// Ends an attempt to notify. The notification is due again after the time in `again`; `None`
    /// completes it, and it is never claimed again.
    ///
    /// A notification is abandoned when the retention of its job is over, and not before, so it is
    /// sent at least once unless every attempt fails. Repeating it changes nothing.
    ///
    /// # Errors
    ///
    /// [`is_lease_lost`](StoreError::is_lease_lost) if it has been claimed again, is completed, or
    /// was abandoned.
    fn notified<'a>(&'a self, lease: &'a Lease, again: Option<Duration>) -> StoreFuture<'a, ()>;

    /// Subscribes to new tasks to [claim](Self::claim), of either kind: the subscription resolves
    /// once there may be one.
    ///
    /// Like [`subscribe`](Self::subscribe), it is registered when this returns and may resolve
    /// early. It does not cover tasks that become claimable by the passing of time; see
    /// [`Claims::next`].
    fn work(&self) -> Subscription;

    /// Performs due changes: jobs whose lease has expired are queued again, after a
    /// [pause](crate::pause_after_loss) that begins with the end of the lease, or end as lost;
    /// results beyond their retention become expired, and expired jobs are forgotten. The id of a
    /// job that is forgotten within a lease duration of its end is void for one, as if it was
    /// [removed](Self::remove). It may run on any number of nodes concurrently.
    ///
    /// Changes nothing if the store's clock is later than the query [expects](SweepQuery::not_after).
    fn sweep<'a>(&'a self, query: &'a SweepQuery) -> StoreFuture<'a, Upkeep>;

    /// Finds the job with this handle, for operators; `None` if there is none.
    fn find(&self, handle: JobHandle) -> StoreFuture<'_, Option<JobId>>;

    /// Returns one page of the jobs, newest first. It may scan every job, or every job of the
    /// query's [principal](JobQuery::principal), which clients may ask for often. It is no snapshot:
    /// a job that changes meanwhile may appear in either state, and one that is created or removed
    /// may appear or not. Every other job appears on exactly one page, except for unreadable ones,
    /// which are [counted](JobPage::unreadable).
    fn list<'a>(&'a self, query: &'a JobQuery) -> StoreFuture<'a, JobPage>;

    /// Returns the bytes stored and their limit; `None`, the default, if the store does not know
    /// them immediately.
    fn usage(&self) -> Option<Usage> {
        None
    }
}
