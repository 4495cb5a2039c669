//! Digests, by which long texts are indexed.

use std::fmt::Write;

use sha2::{Digest, Sha256};
use tower_async_job_core::Principal;

/// Returns bytes as hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        // Writing to a string never fails.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// Returns half of the bytes of the digest of a route, as sixteen digits.
pub(crate) fn route_hash(route: &str) -> String {
    hex(&Sha256::digest(route.as_bytes())[..8])
}

/// Returns sixteen digits for a principal, or none if there is none.
pub(crate) fn owner_hash(principal: Option<&Principal>) -> String {
    principal.map_or_else(String::new, |principal| hex(&principal.digest()[..8]))
}
