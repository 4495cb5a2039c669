//! The pending jobs of all nodes, each of which answers a share of the polls.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use tower_async_job_core::{Principal, Upkeep};

/// The result of the latest sweep of a shared store.
#[derive(Debug, Default)]
pub(crate) struct Census(Mutex<Option<Counts>>);

#[derive(Debug)]
struct Counts {
    nodes: u64,
    total: u64,
    /// The jobs of the principals with the most jobs.
    listed: HashMap<Principal, u64>,
    /// The jobs without a principal, and of principals that are not listed.
    unlisted: u64,
    /// The number of jobs that this node had.
    local: usize,
}

/// A node's share of the pending jobs.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Share {
    pub(crate) jobs: usize,
    /// The jobs of one principal.
    pub(crate) own_jobs: usize,
    /// The number of principals with pending jobs.
    pub(crate) principals: usize,
}

impl Census {
    /// Notes the findings of a sweep, when this node had `local` jobs.
    pub(crate) fn note(&self, upkeep: Upkeep, local: usize) {
        let total = upkeep.pending.total;
        let listed: HashMap<_, _> = upkeep.pending.principals.into_iter().collect();
        *self.counts() = Some(Counts {
            nodes: upkeep.nodes.max(1).into(),
            total,
            unlisted: total.saturating_sub(listed.values().sum()),
            listed,
            local,
        });
    }

    /// Returns the share of a node that has `local` jobs now, on the assumption that the others have
    /// gained as many since the sweep; `None` before the first sweep.
    pub(crate) fn share_of(&self, principal: Option<&Principal>, local: usize) -> Option<Share> {
        let counts = self.counts();
        let counts = counts.as_ref()?;
        let each = |jobs: u64| usize::try_from(jobs.div_ceil(counts.nodes)).unwrap_or(usize::MAX);
        let known = match principal {
            Some(principal) => counts.listed.get(principal).copied(),
            None => Some(counts.unlisted).filter(|unlisted| *unlisted > 0),
        };
        let principals = counts.listed.len() + usize::from(counts.unlisted > 0);
        Some(Share {
            jobs: each(counts.total) + local.saturating_sub(counts.local),
            own_jobs: known.map_or(1, each),
            principals: principals + usize::from(known.is_none()),
        })
    }

    fn counts(&self) -> MutexGuard<'_, Option<Counts>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn share_of_a_node_is_of_the_latest_sweep_and_of_what_came_since() {
        let census = Census::default();
        let [a, b] = ["a", "b"].map(Principal::new);
        assert_eq!(census.share_of(Some(&a), 3), None);
        let mut upkeep = Upkeep::new(std::time::SystemTime::UNIX_EPOCH);
        upkeep.nodes = 4;
        upkeep.pending.total = 101;
        upkeep.pending.principals.push((a.clone(), 90));
        census.note(upkeep.clone(), 30);
        let share = |principal: Option<&Principal>, local| {
            let share = census.share_of(principal, local).expect("swept");
            (share.own_jobs, share.jobs, share.principals)
        };
        assert_eq!(share(Some(&a), 20), (23, 26, 2));
        assert_eq!(share(None, 30), (3, 26, 2));
        assert_eq!(share(Some(&b), 40), (1, 36, 3));
        upkeep.pending.total = 90;
        upkeep.nodes = 0;
        census.note(upkeep, 0);
        assert_eq!(share(None, 0), (1, 90, 2));
    }
}
