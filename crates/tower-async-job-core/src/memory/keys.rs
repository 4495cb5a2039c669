use std::collections::HashMap;

use crate::{IdempotencyKey, JobId, Principal};

/// An idempotency key within its principal.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Scope {
    principal: Option<Principal>,
    key: std::sync::Arc<str>,
}

impl Scope {
    pub(super) fn new(principal: Option<&Principal>, key: &IdempotencyKey) -> Self {
        Self {
            principal: principal.cloned(),
            key: key.shared(),
        }
    }
}

/// Which job an idempotency key made last.
///
/// Its lock is taken before that of a shard, never after. It may still name a job that is gone,
/// so what it says is checked against the shard; it never fails to name one that is there.
#[derive(Debug, Default)]
pub(super) struct Keys(HashMap<Scope, JobId>);

impl Keys {
    pub(super) fn job(&self, scope: &Scope) -> Option<JobId> {
        self.0.get(scope).copied()
    }

    pub(super) fn insert(&mut self, scope: Scope, id: JobId) {
        self.0.insert(scope, id);
    }

    /// Forgets the key, unless it has made another job since.
    pub(super) fn forget(&mut self, scope: &Scope, id: JobId) {
        if self.job(scope) == Some(id) {
            self.0.remove(scope);
        }
    }
}
