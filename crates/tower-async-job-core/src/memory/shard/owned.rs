//! The jobs of each principal, in the order of lists.

use std::collections::BTreeSet;

use crate::{
    id::{JobHandle, JobId},
    memory::entry::Entry,
    query::JobCursor,
};

/// An index of the jobs with a principal, for lists of those of one.
#[derive(Debug, Default)]
pub(in crate::memory) struct Owned(BTreeSet<(OwnerHash, JobCursor, JobId)>);

/// The beginning of a principal's digest. Those of two principals may be the same.
type OwnerHash = [u8; 8];

impl Owned {
    pub(super) fn add(&mut self, entry: &Entry) {
        self.0.extend(place_of(entry));
    }

    pub(super) fn remove(&mut self, entry: &Entry) {
        if let Some(place) = place_of(entry) {
            self.0.remove(&place);
        }
    }

    /// Returns the jobs of the principal with this digest, newest first, after a position. There may
    /// be others among them.
    pub(in crate::memory) fn after(
        &self,
        digest: &[u8; 32],
        after: Option<JobCursor>,
    ) -> impl Iterator<Item = (JobCursor, JobId)> {
        let owner = hash_of(digest);
        let newest = JobCursor::at(u64::MAX, JobHandle::from_bits(u64::MAX));
        let (until, id) = after.map_or((newest, u128::MAX), |after| (after, 0));
        let oldest = JobCursor::at(0, JobHandle::from_bits(0));
        let places = (owner, oldest, JobId::from_bits(0))..(owner, until, JobId::from_bits(id));
        self.0
            .range(places)
            .rev()
            .map(|(_, place, id)| (*place, *id))
    }
}

fn place_of(entry: &Entry) -> Option<(OwnerHash, JobCursor, JobId)> {
    let place = JobCursor::at(entry.created_wall, entry.handle);
    Some((hash_of(&entry.owner_digest()?), place, entry.id))
}

fn hash_of(digest: &[u8; 32]) -> OwnerHash {
    std::array::from_fn(|place| digest[place])
}
