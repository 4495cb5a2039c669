//! The keys in Redis.

use std::{borrow::Cow, ops::Range};

use tower_async_job_core::JobId;

/// The number of shards, each in one slot of a cluster.
pub(crate) const SHARDS: usize = 64;

/// The sets of a shard, in the order in which scripts of one job are given them.
const SETS: [&str; 12] = [
    "keys", "leases", "pending", "due", "ready", "routes", "notify", "counts", "list", "handles",
    "since", "owned",
];

/// A set of a shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Set {
    /// The jobs of idempotency keys, by digest.
    Keys,
    /// The jobs that workers hold, by the ends of their leases.
    Leases,
    /// The other pending jobs, by the time of their next change.
    Pending,
    /// The ended jobs, by the time of their next change, and the chunks without a job.
    Due,
    /// The claimable jobs, by turn.
    Ready,
    /// The claimable jobs, by route and turn.
    Routes,
    /// The notifications, by the time at which they are due.
    Notify,
    /// The numbers of jobs.
    Counts,
    /// All jobs, by the time of their creation.
    List,
    /// The ids of all jobs, by handle.
    Handles,
    /// The jobs that wait for a next run, an outside party or a notification, by the time since
    /// which they do.
    Since,
    /// The jobs with an owner, by owner and the time of their creation.
    Owned,
}

/// The names of all keys, which have a prefix in common.
#[derive(Debug)]
pub(crate) struct Keys {
    prefix: String,
    shards: Vec<Shard>,
}

#[derive(Debug)]
struct Shard {
    tag: String,
    sets: [String; SETS.len()],
}

impl Keys {
    pub(crate) fn new(prefix: &str) -> Self {
        let shard = |number| {
            let tag = format!("{{{prefix}:{number}}}");
            let sets = SETS.map(|set| format!("{tag}:{set}"));
            Shard { tag, sets }
        };
        Self {
            prefix: prefix.to_owned(),
            shards: (0..SHARDS).map(shard).collect(),
        }
    }

    /// Returns the key of the events, of which there is one stream.
    pub(crate) fn events(&self) -> String {
        format!("{{{}:events}}", self.prefix)
    }

    /// Returns the key of the nodes.
    pub(crate) fn nodes(&self) -> String {
        format!("{{{}:nodes}}", self.prefix)
    }

    /// Returns the key that is written to find out what the server has made durable.
    pub(crate) fn mark(&self, shard: usize) -> String {
        format!("{}:mark", self.shards[shard].tag)
    }

    pub(crate) fn set(&self, shard: usize, set: Set) -> &str {
        &self.shards[shard].sets[set as usize]
    }

    /// Returns a set of each of these shards.
    pub(crate) fn sets(&self, shards: Range<usize>, sets: &[Set]) -> Vec<String> {
        shards
            .flat_map(|shard| sets.iter().map(move |set| self.set(shard, *set).to_owned()))
            .collect()
    }

    pub(crate) fn job(&self, id: &JobId) -> String {
        format!("{}:j:{}", self.shards[shard_of(id)].tag, id.encode())
    }

    /// Returns the key of the contents of a job.
    pub(crate) fn parts(&self, id: &JobId) -> String {
        format!("{}:x:{}", self.shards[shard_of(id)].tag, id.encode())
    }

    /// Returns the key of the chunks of a run.
    pub(crate) fn chunks(&self, id: &JobId, epoch: u64) -> String {
        let tag = &self.shards[shard_of(id)].tag;
        format!("{tag}:c:{}:{epoch}", id.encode())
    }

    /// Returns the keys of a job and some sets of its shard.
    pub(crate) fn of_job_in<'a>(
        &'a self,
        id: &JobId,
        sets: &'a [Set],
    ) -> impl Iterator<Item = Cow<'a, str>> {
        let shard = shard_of(id);
        let sets = sets.iter().map(move |set| self.set(shard, *set));
        [self.job(id), self.parts(id)]
            .into_iter()
            .map(Cow::Owned)
            .chain(sets.map(Cow::Borrowed))
    }

    /// Returns the keys of a script that changes one job.
    pub(crate) fn of_job(&self, id: &JobId) -> impl Iterator<Item = Cow<'_, str>> {
        let sets = self.shards[shard_of(id)].sets.iter();
        [self.job(id), self.parts(id)]
            .into_iter()
            .map(Cow::Owned)
            .chain(sets.map(|set| Cow::Borrowed(set.as_str())))
    }
}

/// Returns the shard of a job.
pub(crate) fn shard_of(id: &JobId) -> usize {
    (id.to_bits() >> 122) as usize
}

/// Returns the shard of an idempotency key.
pub(crate) fn shard_of_digest(digest: &[u8; 32]) -> usize {
    usize::from(digest[0] >> 2)
}

/// Generates an id of this shard.
pub(crate) fn id_of_shard(shard: usize) -> JobId {
    let bits = JobId::random().to_bits() & (u128::MAX >> 6);
    JobId::from_bits(bits | (shard as u128) << 122)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_of_their_shards() {
        for shard in 0..SHARDS {
            assert_eq!(shard_of(&id_of_shard(shard)), shard);
        }
        assert_eq!(shard_of_digest(&[255; 32]), SHARDS - 1);
    }

    #[test]
    fn keys_of_one_job_have_one_hash_tag() {
        let keys = Keys::new("jobs");
        let tag = |key: &str| key.split_once('}').map(|(tag, _)| tag.to_owned());
        let id = id_of_shard(7);
        for key in keys.of_job(&id).chain([keys.chunks(&id, 3).into()]) {
            assert_eq!(tag(&key).as_deref(), Some("{jobs:7"), "{key}");
        }
    }
}
