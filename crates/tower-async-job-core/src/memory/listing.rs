//! Lists of jobs, and jobs by their handles.

use std::collections::BTreeSet;

use super::{clock::Micros, entry::Entry, jobs::Jobs, pace::Pace, shard::Shard};
use crate::{
    id::{JobHandle, JobId},
    owner::Principal,
    query::{JobCursor, JobPage, JobQuery},
    record::Detail,
    sync::{Mutex, lock},
};

impl Jobs {
    pub(super) async fn find(&self, handle: JobHandle) -> Option<JobId> {
        let now = self.now();
        let mut pace = Pace::default();
        for shard in &self.shards {
            let found = lock(shard).find(handle, now);
            if found.is_some() {
                return found;
            }
            pace.spend(Pace::LOCK).await;
        }
        None
    }

    pub(super) async fn list(&self, query: &JobQuery) -> JobPage {
        let now = self.now();
        let mut pace = Pace::default();
        let mut newest = Newest::new(query, now);
        for shard in &self.shards {
            match newest.filter.principal {
                Some((_, digest)) => newest.consider_owned(shard, &digest, &mut pace).await,
                None => newest.consider_all(shard, &mut pace).await,
            }
        }
        let filter = Filter::new(query, now);
        let (places, next) = newest.page();
        let mut jobs = Vec::with_capacity(places.len());
        for (_, id) in places.iter().rev() {
            // It may have gone or changed in between.
            jobs.extend(
                self.shard(id)
                    .entry(id)
                    .filter(|entry| filter.is_for(entry))
                    .and_then(|entry| entry.record(now, Detail::Status)),
            );
            pace.spend(Pace::STEP).await;
        }
        JobPage::new(jobs, next)
    }
}

/// The newest jobs that match a query.
struct Newest<'a> {
    filter: Filter<'a>,
    after: Option<JobCursor>,
    limit: usize,
    /// One more than the page has, to find the next page.
    places: BTreeSet<(JobCursor, JobId)>,
}

impl<'a> Newest<'a> {
    fn new(query: &'a JobQuery, now: Micros) -> Self {
        Self {
            filter: Filter::new(query, now),
            after: query.after,
            limit: query.limit(),
            places: BTreeSet::new(),
        }
    }

    /// Considers all jobs of a shard, which are in no order.
    async fn consider_all(&mut self, shard: &Mutex<Shard>, pace: &mut Pace) {
        let mut end = None;
        loop {
            let looks;
            (looks, end) = {
                let shard = lock(shard);
                let (part, end) = shard.part(end, Pace::LOCKED_LOOKS);
                (part.map(|entry| self.consider(entry)).count(), end)
            };
            pace.spend(Pace::LOCK + looks).await;
            if end.is_none() {
                return;
            }
        }
    }

    /// Considers the jobs of the principal with this digest in a shard, newest first, until the page
    /// has newer ones.
    async fn consider_owned(&mut self, shard: &Mutex<Shard>, digest: &[u8; 32], pace: &mut Pace) {
        let mut after = self.after;
        loop {
            let (mut looks, mut is_whole) = (0, true);
            {
                let shard = lock(shard);
                for (place, id) in shard.owned.after(digest, after) {
                    if looks == Pace::LOCKED_LOOKS {
                        is_whole = false;
                        break;
                    }
                    if self.has_newer(place) {
                        break;
                    }
                    if let Some(entry) = shard.entry(&id) {
                        self.consider(entry);
                    }
                    after = Some(place);
                    looks += 1;
                }
            }
            pace.spend(Pace::LOCK + looks).await;
            if is_whole {
                return;
            }
        }
    }

    /// Returns whether the page is full of jobs that are newer.
    fn has_newer(&self, place: JobCursor) -> bool {
        let is_full = self.places.len() > self.limit;
        is_full && self.places.first().is_some_and(|(last, _)| place < *last)
    }

    fn consider(&mut self, entry: &Entry) {
        let place = JobCursor::at(entry.created_wall, entry.handle);
        if self.after.is_some_and(|after| place >= after) || self.has_newer(place) {
            return;
        }
        if self.filter.is_for(entry) {
            self.places.insert((place, entry.id));
            if self.places.len() > self.limit + 1 {
                self.places.pop_first();
            }
        }
    }

    /// Returns the jobs of the page, oldest first, and the position of the next page.
    fn page(mut self) -> (BTreeSet<(JobCursor, JobId)>, Option<JobCursor>) {
        if self.places.len() <= self.limit {
            return (self.places, None);
        }
        self.places.pop_first();
        let next = self.places.first().map(|(place, _)| *place);
        (self.places, next)
    }
}

/// The jobs that match a query, regardless of their position.
struct Filter<'a> {
    query: &'a JobQuery,
    now: Micros,
    principal: Option<(&'a Principal, [u8; 32])>,
}

impl<'a> Filter<'a> {
    fn new(query: &'a JobQuery, now: Micros) -> Self {
        let principal = query.principal.as_ref();
        Self {
            query,
            now,
            principal: principal.map(|principal| (principal, principal.digest())),
        }
    }

    fn is_for(&self, entry: &Entry) -> bool {
        let state = entry.state(self.now);
        let is_of = |(principal, digest): &(&Principal, [u8; 32])| entry.is_of(principal, digest);
        let route = self.query.route.as_ref();
        state.is_some()
            && (self.query.state.is_none() || self.query.state == state)
            && route.is_none_or(|route| *route == entry.terms.route)
            && self.principal.as_ref().is_none_or(is_of)
    }
}
