//! Members of the sets of claimable tasks.

use tower_async_job_core::{ClaimKind, JobId};

/// A task that may be claimed: its id, its turn and the length of its data.
pub(super) struct Candidate {
    pub(super) id: JobId,
    pub(super) turn: i64,
    pub(super) len: usize,
    pub(super) member: String,
}

impl Candidate {
    /// Reads a member of a set; see `row.lua`.
    pub(super) fn read(member: String, kind: ClaimKind) -> Option<Self> {
        let (turn, len, id) = match kind {
            ClaimKind::Notify => (0, member.get(16..24)?, member.get(24..)?),
            _ => (
                member.get(16..32)?.parse().ok()?,
                member.get(34..42)?,
                member.get(42..)?,
            ),
        };
        Some(Self {
            id: id.parse().ok()?,
            turn,
            len: usize::from_str_radix(len, 16).ok()?,
            member,
        })
    }
}
