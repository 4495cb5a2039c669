//! A bounded map of recent jobs.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
};

use tower_async_job_core::{JobId, JobIdMap};

/// The number of jobs that it holds.
const REMEMBERED: usize = 10_000;

/// A value for each of the latest jobs; the oldest are dropped.
pub(crate) struct Recent<V> {
    entries: Mutex<Entries<V>>,
}

struct Entries<V> {
    values: JobIdMap<V>,
    /// The keys of all values, and recent keys whose values were taken.
    order: VecDeque<JobId>,
}

impl<V> Default for Recent<V> {
    fn default() -> Self {
        Self {
            entries: Mutex::new(Entries {
                values: JobIdMap::default(),
                order: VecDeque::new(),
            }),
        }
    }
}

impl<V> Recent<V> {
    /// Adds a value, or replaces that of the job. Returns whether the job had none.
    pub(crate) fn insert(&self, id: JobId, value: V) -> bool {
        let mut entries = self.entries();
        if entries.values.insert(id, value).is_some() {
            return false;
        }
        entries.order.push_back(id);
        if entries.order.len() > REMEMBERED
            && let Some(oldest) = entries.order.pop_front()
        {
            entries.values.remove(&oldest);
        }
        true
    }

    #[cfg(feature = "metrics")]
    pub(crate) fn take(&self, id: &JobId) -> Option<V> {
        self.entries().values.remove(id)
    }

    pub(crate) fn find(&self, id: &JobId) -> Option<V>
    where
        V: Clone,
    {
        self.entries().values.get(id).cloned()
    }

    fn entries(&self) -> MutexGuard<'_, Entries<V>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn oldest_are_forgotten() {
        let recent = Recent::default();
        let ids: Vec<JobId> = (0..=REMEMBERED).map(|_| JobId::random()).collect();
        for (number, id) in ids.iter().enumerate() {
            assert!(recent.insert(*id, number));
        }
        assert!(!recent.insert(ids[REMEMBERED], REMEMBERED));
        let entries = recent.entries();
        assert_eq!(entries.values.len(), REMEMBERED);
        assert_eq!(entries.order.len(), REMEMBERED);
        assert!(!entries.values.contains_key(&ids[0]));
        assert_eq!(entries.values.get(&ids[REMEMBERED]), Some(&REMEMBERED));
    }
}
