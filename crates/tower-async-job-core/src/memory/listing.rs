//! What operators ask about all jobs.

use std::collections::BTreeMap;

use super::{entry::Entry, jobs::Jobs};
use crate::{Detail, JobCursor, JobHandle, JobId, JobPage, JobQuery, sync::lock};

impl Jobs {
    pub(super) fn find(&self, handle: JobHandle) -> Option<JobId> {
        let now = self.now();
        self.shards.iter().find_map(|shard| {
            let shard = lock(shard);
            let known = |entry: &Entry| entry.handle == handle && entry.state(now).is_some();
            shard
                .entries()
                .find(|(_, entry)| known(entry))
                .map(|(id, _)| *id)
        })
    }

    pub(super) fn list(&self, query: &JobQuery) -> JobPage {
        let now = self.now();
        let limit = query.limit();
        // The newest jobs beyond the cursor, one more than the page has, the oldest of them first.
        let mut newest = BTreeMap::new();
        for shard in &self.shards {
            let shard = lock(shard);
            for (id, entry) in shard.entries() {
                let place = JobCursor::at(entry.created_wall, entry.handle);
                let full = newest.len() > limit;
                if query.after.is_some_and(|after| place >= after)
                    || full
                        && newest
                            .first_key_value()
                            .is_some_and(|(last, _)| place < *last)
                    || query
                        .route
                        .as_ref()
                        .is_some_and(|route| *route != entry.route)
                    || query
                        .state
                        .is_some_and(|state| entry.state(now) != Some(state))
                {
                    continue;
                }
                if let Some(record) = entry.record(*id, now, Detail::Status) {
                    newest.insert(place, record);
                    if full {
                        newest.pop_first();
                    }
                }
            }
        }
        if newest.len() > limit {
            newest.pop_first();
            let last = newest.first_key_value().map(|(place, _)| *place);
            return JobPage::new(newest.into_values().rev().collect(), last);
        }
        JobPage::new(newest.into_values().rev().collect(), None)
    }
}
