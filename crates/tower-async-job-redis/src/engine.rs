//! The parts of an open store.

use std::{
    collections::BTreeMap,
    fmt,
    ops::Range,
    sync::{Arc, atomic::AtomicU64},
};

use futures_util::future::join_all;
use redis::Value;
use tokio::sync::watch;
use tower_async_job_core::{Detail, EndedJobs, JobId, JobRecord, ReadBatch, StoreError, Waiters};

use crate::{
    accepted::Accepted,
    batch::Batcher,
    feed::Feed,
    flush::Flush,
    keys::{Keys, SHARDS, shard_of},
    link::{Call, Link, Reply},
    notes::Notes,
    script::Script,
    settings::Settings,
    time::Micros,
    turns::Turns,
    unread::Unread,
};

/// The id by which the subscriptions to claimable work are kept among those to jobs.
pub(crate) const WORK: JobId = JobId::from_bits(0);

/// A job as it was read, at this time.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) now: Micros,
    pub(crate) record: Option<JobRecord>,
    /// True if the store knows that there is no such job.
    pub(crate) is_void: bool,
}

/// A job and the part of it that is read.
pub(crate) type Wanted = (JobId, Detail);

/// An open store.
pub(crate) struct Engine {
    pub(crate) link: Arc<Link>,
    changes: Batcher,
    /// The link for reads of jobs, which otherwise wait behind changes.
    pub(crate) reading: Link,
    pub(crate) keys: Keys,
    pub(crate) settings: Settings,
    /// The shards that one script may use: all, or one in a cluster.
    groups: Vec<Range<usize>>,
    pub(crate) waiters: Waiters,
    pub(crate) feed: Feed,
    /// Reads that share round trips, by group.
    reads: Vec<ReadBatch<Wanted, Result<Seen, StoreError>>>,
    /// The numbers of waiting jobs, in total or of an owner.
    pub(crate) waiting: ReadBatch<Option<String>, usize>,
    flushes: Vec<Flush>,
    pub(crate) turns: Turns,
    pub(crate) unread: Unread,
    pub(crate) notes: Notes,
    pub(crate) accepted: Accepted,
    /// The number of jobs that this handle has ended for their lost leases since its latest sweep.
    pub(crate) lost: AtomicU64,
    /// These jobs, and those whose deadline passed.
    pub(crate) ended: EndedJobs,
    reads_held: watch::Sender<bool>,
}

impl Engine {
    pub(crate) fn new(link: Link, reading: Link, keys: Keys, settings: Settings) -> Self {
        let groups: Vec<_> = match link.target().is_cluster {
            true => (0..SHARDS).map(|shard| shard..shard + 1).collect(),
            false => std::iter::once(0..SHARDS).collect(),
        };
        let link = Arc::new(link);
        Self {
            changes: Batcher::new(&link, groups.len() * link.connections()),
            reads: groups.iter().map(|_| ReadBatch::default()).collect(),
            flushes: groups.iter().map(|_| Flush::default()).collect(),
            groups,
            link,
            reading,
            keys,
            settings,
            waiters: Waiters::default(),
            feed: Feed::default(),
            waiting: ReadBatch::default(),
            turns: Turns::default(),
            unread: Unread::default(),
            notes: Notes::default(),
            accepted: Accepted::default(),
            lost: AtomicU64::new(0),
            ended: EndedJobs::default(),
            reads_held: watch::Sender::new(false),
        }
    }

    pub(crate) fn lease(&self) -> Micros {
        self.settings.lease_micros()
    }

    pub(crate) fn groups(&self) -> &[Range<usize>] {
        &self.groups
    }

    pub(crate) fn group_of_job(&self, id: &JobId) -> usize {
        self.group_of(shard_of(id))
    }

    fn group_of(&self, shard: usize) -> usize {
        shard * self.groups.len() / SHARDS
    }

    pub(crate) fn reads(&self, group: usize) -> &ReadBatch<Wanted, Result<Seen, StoreError>> {
        &self.reads[group]
    }

    pub(crate) fn flush(&self, group: usize) -> &Flush {
        &self.flushes[group]
    }

    /// Lets no read of jobs be sent, or lets those that wait be sent.
    pub(crate) fn hold_reads(&self, is_held: bool) {
        self.reads_held.send_replace(is_held);
    }

    /// Waits while a test holds reads.
    pub(crate) async fn await_permission_to_read(&self) {
        let mut held = self.reads_held.subscribe();
        // The sender exists as long as this.
        let _ = held.wait_for(|is_held| !is_held).await;
    }

    /// Reads a job, together with others.
    pub(crate) async fn read(&self, wanted: Wanted) -> Result<Seen, StoreError> {
        let group = self.group_of(shard_of(&wanted.0));
        let read = self.reads[group].read(wanted).await?;
        read.unwrap_or_else(|| Err(StoreError::unavailable("the read has no answer")))
    }

    /// Creates a call of a script with these keys.
    pub(crate) fn call(
        &self,
        script: &'static Script,
        keys: impl IntoIterator<Item = impl AsRef<str>>,
    ) -> Call {
        Call::new(script, keys, self.settings.clock.argument())
    }

    /// Creates a call of a script that changes one job.
    pub(crate) fn job_call(&self, script: &'static Script, id: &JobId) -> Call {
        self.call(script, self.keys.of_job(id))
            .arg(id.encode().as_str())
            .number(self.lease())
    }

    /// Returns the lane of the changes of this job, whose scripts may be run together.
    fn lane_of(&self, id: &JobId, call: &Call) -> usize {
        let connections = self.link.connections();
        self.group_of_job(id) * connections + call.spread() % connections
    }

    /// Changes a job, and notifies of the effects.
    pub(crate) async fn change(&self, id: &JobId, call: Call) -> Result<Reply, StoreError> {
        let (lane, data) = (self.lane_of(id, &call), self.data_of(id));
        let answer = self.changes.perform(lane, call).await;
        self.settle(id, data, answer).await
    }

    /// Changes jobs by calls of one script, in one round trip, in this order if one occurs twice. A
    /// change that fails prevents no other.
    pub(crate) async fn change_all(
        &self,
        calls: Vec<(JobId, Call)>,
    ) -> Vec<Result<Reply, StoreError>> {
        if let Some((_, call)) = calls.first() {
            self.link.count(call.name());
        }
        let mut lanes: BTreeMap<usize, (Vec<usize>, Vec<Call>)> = BTreeMap::new();
        let mut ids = Vec::with_capacity(calls.len());
        for (place, (id, call)) in calls.into_iter().enumerate() {
            let (places, calls) = lanes.entry(self.lane_of(&id, &call)).or_default();
            places.push(place);
            calls.push(call);
            ids.push((id, self.data_of(&id)));
        }
        let parts = lanes.into_values().map(|(places, calls)| async move {
            let answers = self.link.change(&calls).await;
            places.into_iter().zip(answers).collect::<Vec<_>>()
        });
        let mut answers: Vec<_> = join_all(parts).await.into_iter().flatten().collect();
        answers.sort_unstable_by_key(|(place, _)| *place);
        let changes = ids.iter().zip(answers);
        let settled = changes.map(|((id, data), (_, answer))| self.settle(id, *data, answer));
        join_all(settled).await
    }

    /// Makes a change durable, and notifies of its effects.
    async fn settle(
        &self,
        id: &JobId,
        data: u64,
        answer: Result<Value, StoreError>,
    ) -> Result<Reply, StoreError> {
        let reply = Reply::new(answer?)?;
        self.make_durable(id, data).await?;
        let work = reply.claimable.then_some(WORK);
        let ended = reply.ended.then_some(*id);
        for id in ended.into_iter().chain(work) {
            self.waiters.notify(&id);
            self.feed.publish(id);
        }
        Ok(reply)
    }

    /// Returns the number of the data of a job, which is taken before a change is sent.
    pub(crate) fn data_of(&self, id: &JobId) -> u64 {
        self.flushes[self.group_of_job(id)].number()
    }

    /// Waits until a change of a job, and all before it in its group, are durable in the data of
    /// this number, if the answer of the server does not say so.
    pub(crate) async fn make_durable(&self, id: &JobId, data: u64) -> Result<(), StoreError> {
        if self.settings.durability == crate::settings::Durability::default() {
            return Ok(());
        }
        self.flushes[self.group_of_job(id)].wait(data).await
    }

    /// Runs a script for each group of shards.
    pub(crate) async fn for_groups(
        &self,
        call: impl Fn(Range<usize>) -> Call,
    ) -> Result<Vec<Value>, StoreError> {
        let calls: Vec<_> = self
            .groups
            .iter()
            .map(|group| call(group.clone()))
            .collect();
        self.link.run_all(&calls).await.into_iter().collect()
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine")
            .field("link", &self.link)
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}
