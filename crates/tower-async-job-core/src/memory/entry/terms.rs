use std::sync::Arc;

use crate::{
    job::{NewJob, PendingStatus, Protocol},
    memory::clock::{Micros, micros},
};

/// The terms that jobs of one route share.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::memory) struct Terms {
    pub(in crate::memory) route: Arc<str>,
    pub(super) protocol: Protocol,
    pub(super) pending_status: PendingStatus,
    /// Narrow to save space.
    pub(super) max_attempts: u16,
    /// The time from a job's end for which its result is kept.
    pub(super) result: Micros,
    /// The time from then for which its tombstone is kept.
    pub(super) tombstone: Micros,
}

impl Terms {
    /// Returns the terms of a new job.
    pub(in crate::memory) fn of(job: &NewJob) -> Self {
        Self {
            route: Arc::clone(&job.route),
            protocol: job.protocol,
            pending_status: job.pending_status,
            max_attempts: u16::try_from(job.max_attempts).unwrap_or(u16::MAX).max(1),
            result: micros(job.retention.result),
            tombstone: micros(job.retention.tombstone),
        }
    }

    /// Returns whether jobs of one route share these terms. Those with a longer route do not, since
    /// a client may choose the length of its path.
    pub(super) fn is_shared(&self) -> bool {
        self.route.len() <= Kinds::LONGEST_ROUTE
    }

    pub(super) fn without_route(&self) -> Self {
        Self {
            route: Arc::default(),
            ..*self
        }
    }
}

/// The terms of recent jobs, so that jobs of one route share them.
#[derive(Debug, Default)]
pub(in crate::memory) struct Kinds(Vec<Arc<Terms>>);

impl Kinds {
    /// The maximum number of terms searched. With more, some are stored more than once.
    const MOST: usize = 16;

    const LONGEST_ROUTE: usize = 256;

    /// Returns these terms, shared with earlier jobs of the same route.
    pub(in crate::memory) fn share(&mut self, terms: Terms) -> Arc<Terms> {
        if let Some(known) = self.0.iter().find(|known| ***known == terms) {
            return Arc::clone(known);
        }
        if self.0.len() == Self::MOST {
            self.0.clear();
        }
        let terms = Arc::new(terms);
        if terms.is_shared() {
            self.0.push(Arc::clone(&terms));
        }
        terms
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::JobId;

    fn terms(route: &str) -> Terms {
        Terms::of(&NewJob::new(JobId::random()).with_route(route))
    }

    #[test]
    fn jobs_of_one_kind_share_their_terms() {
        let mut kinds = Kinds::default();
        let first = kinds.share(terms("/a"));
        let other = kinds.share(terms("/b"));
        assert!(Arc::ptr_eq(&first, &kinds.share(terms("/a"))));
        assert!(!Arc::ptr_eq(&first, &other));
    }

    #[test]
    fn long_routes_are_not_kept() {
        let mut kinds = Kinds::default();
        let route = "/".repeat(Kinds::LONGEST_ROUTE + 1);
        assert_eq!(kinds.share(terms(&route)).route.len(), route.len());
        assert!(kinds.0.is_empty());
    }

    #[test]
    fn many_kinds_are_not_all_remembered() {
        let mut kinds = Kinds::default();
        for kind in 0..1000 {
            kinds.share(terms(&format!("/{kind}")));
            assert!(kinds.0.len() <= Kinds::MOST);
        }
    }
}
