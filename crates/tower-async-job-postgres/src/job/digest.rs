//! Digests, by which long texts are indexed.

use sha2::{Digest, Sha256};
use tower_async_job_core::{JobId, Principal};

fn first_bits(digest: [u8; 32]) -> u64 {
    digest.first_chunk().copied().map_or(0, u64::from_be_bytes)
}

/// Returns 63 bits of the SHA-256 of a text, never 0.
fn hash(text: &str) -> i64 {
    let bits = first_bits(Sha256::digest(text.as_bytes()).into());
    ((bits >> 1) as i64).max(1)
}

pub(crate) fn route_hash(route: &str) -> i64 {
    hash(route)
}

/// Returns the hash of a principal, or 0 if there is none.
pub(crate) fn owner_hash(principal: Option<&Principal>) -> i64 {
    principal.map_or(0, |principal| hash(principal.as_str()))
}

/// Returns the hash by which nodes are notified of a job, which does not reveal its id. Never 0.
pub(crate) fn event_hash(id: &JobId) -> u64 {
    first_bits(Sha256::digest(id.to_bits().to_be_bytes()).into()).max(1)
}
