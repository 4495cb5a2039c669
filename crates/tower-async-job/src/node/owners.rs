//! The numbers of pending jobs by principal.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tower_async_job_core::Principal;

/// The number of each principal's jobs that are running or queued in this process. Jobs without a
/// principal count as those of one.
#[derive(Default)]
pub(crate) struct Owners {
    // An ordered map, since a large hash table blocks its thread when it grows.
    jobs: Mutex<BTreeMap<Option<Principal>, usize>>,
}

/// A counted job, until it is dropped.
pub(crate) struct Owned {
    owners: Arc<Owners>,
    owner: Option<Principal>,
}

impl Owners {
    pub(crate) fn own(self: &Arc<Self>, owner: Option<Principal>) -> Owned {
        *self.jobs().entry(owner.clone()).or_default() += 1;
        Owned {
            owners: self.clone(),
            owner,
        }
    }

    /// Returns the number of a principal's jobs, and that of principals with jobs. The job in
    /// question may be pending in another process, and counts too.
    pub(crate) fn share_of(&self, owner: Option<&Principal>) -> (usize, usize) {
        let jobs = self.jobs();
        match jobs.get(&owner.cloned()) {
            Some(own) => (*own, jobs.len()),
            None => (1, jobs.len() + 1),
        }
    }

    fn jobs(&self) -> MutexGuard<'_, BTreeMap<Option<Principal>, usize>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        let mut jobs = self.owners.jobs();
        if let Some(own) = jobs.get_mut(&self.owner) {
            *own -= 1;
            if *own == 0 {
                jobs.remove(&self.owner);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jobs_are_counted_while_they_are_owned() {
        let owners = Arc::new(Owners::default());
        let [a, b, none] = [Some("a"), Some("b"), None].map(|name| name.map(Principal::new));
        let first = owners.own(a.clone());
        let second = owners.own(a.clone());
        let other = owners.own(none.clone());
        assert_eq!(owners.share_of(a.as_ref()), (2, 2));
        assert_eq!(owners.share_of(none.as_ref()), (1, 2));
        assert_eq!(owners.share_of(b.as_ref()), (1, 3));
        drop((first, other));
        assert_eq!(owners.share_of(a.as_ref()), (1, 1));
        drop(second);
        assert!(owners.jobs().is_empty());
    }
}
