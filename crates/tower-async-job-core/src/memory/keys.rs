use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
};

use sha2::{Digest, Sha256};

use crate::{
    id::JobId,
    owner::{IdempotencyKey, Principal},
    sync::{Mutex, MutexGuard, lock},
};

/// An idempotency key within its principal, as a SHA-256 only, since clients choose the length of
/// both.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Scope([u8; 32]);

impl Scope {
    pub(super) fn new(principal: Option<&Principal>, key: &IdempotencyKey) -> Self {
        let mut digest = Sha256::new();
        // No key begins with a control character, so a key without a principal equals none with
        // one.
        if let Some(principal) = principal {
            digest.update([0]);
            digest.update(principal.as_str().len().to_le_bytes());
            digest.update(principal.as_str());
        }
        digest.update(key.as_str());
        Self(digest.finalize().into())
    }
}

/// The key with which a job was created.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct JobKey {
    pub(super) scope: Scope,
    pub(super) fingerprint: [u8; 32],
}

impl JobKey {
    pub(super) fn new(principal: Option<&Principal>, key: &IdempotencyKey) -> Self {
        Self {
            scope: Scope::new(principal, key),
            fingerprint: *key.fingerprint(),
        }
    }
}

/// The latest job of each idempotency key, in parts with their own locks.
///
/// These locks are taken before that of a shard, never after. A part may still name a job that is
/// gone, so its answer is checked against the shard; it names every job that exists.
#[derive(Debug)]
pub(super) struct Keys {
    parts: Box<[Mutex<Part>]>,
    hasher: RandomState,
}

impl Keys {
    pub(super) fn new(parts: usize) -> Self {
        Self {
            parts: (0..parts).map(|_| Mutex::default()).collect(),
            hasher: RandomState::new(),
        }
    }

    /// Locks the part of a key.
    pub(super) fn part(&self, scope: &Scope) -> MutexGuard<'_, Part> {
        let hash = self.hasher.hash_one(scope) as usize;
        lock(&self.parts[hash % self.parts.len()])
    }
}

/// The keys of one lock.
#[derive(Debug, Default)]
pub(super) struct Part(HashMap<Scope, JobId>);

impl Part {
    pub(super) fn job(&self, scope: &Scope) -> Option<JobId> {
        self.0.get(scope).copied()
    }

    pub(super) fn insert(&mut self, scope: Scope, id: JobId) {
        self.0.insert(scope, id);
    }

    /// Forgets the key, unless it belongs to another job by now; frees memory after a burst.
    pub(super) fn forget(&mut self, scope: &Scope, id: JobId) {
        if self.job(scope) == Some(id) {
            self.0.remove(scope);
        }
        let wanted = self.0.len().max(32) * 2;
        if self.0.capacity() / 2 > wanted {
            self.0.shrink_to(wanted);
        }
    }
}
