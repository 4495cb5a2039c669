//! Versions of jobs.

use http_polling::JobState;

/// The bit of a version from which it counts the end and the expiry of a job.
const RANK: u32 = 48;

/// The largest version of a lost record that is exceeded, half of the versions of a pending job.
const LARGEST_LOST: u64 = 1 << (RANK - 1);

/// Returns the version of a job in this state; see `JobRecord::version_of`.
pub(crate) fn version_of(state: JobState, epoch: u64, is_running: bool, reports: u64) -> u64 {
    let rank = match state {
        JobState::Queued | JobState::Running => 0,
        // An expired job keeps no more data, and cannot change.
        JobState::Expired => return 2 << RANK,
        _ => 1,
    };
    let changes = epoch
        .saturating_mul(2)
        .saturating_add(is_running.into())
        .saturating_add(reports);
    (rank << RANK) + changes.min((1 << RANK) - 1)
}

/// Returns the version of a job that is lost, above all versions that it had, pending or ended.
pub(crate) fn version_of_lost(latest: u64) -> u64 {
    let changes = latest & ((1 << RANK) - 1);
    (1 << RANK) + (changes + 1).min((1 << RANK) - 1)
}

/// Returns the number of reports with which the version of a new job exceeds that of its lost
/// record.
pub(crate) fn reports_above(lost: u64, epoch: u64, is_running: bool) -> u64 {
    // A record of another kind of store may be beyond all versions of a pending job.
    let lost = lost.min(LARGEST_LOST);
    let first = version_of(JobState::Queued, epoch, is_running, 0);
    lost.checked_sub(first).map_or(0, |less| less + 1)
}
