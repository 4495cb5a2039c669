//! The reading of a job that is to be with an outside party.

use http_polling::JobState;
use tower_async_job_core::{Detail, JobId, JobRecord};

use super::error::{Kind, OutsideError};
use crate::node::front::Front;

/// Reads the job of an attempt. Fails if the run is over, or another attempt has begun.
pub(super) async fn pending(
    front: &Front,
    id: &JobId,
    attempt: u32,
) -> Result<JobRecord, OutsideError> {
    let record = front.node.read(id, Detail::Status).await?;
    let record = record.ok_or(Kind::Unknown)?;
    let is_over = match record.state {
        JobState::Cancelled => return Err(Kind::Cancelled.into()),
        // This attempt has begun, and waits to be repeated.
        JobState::Queued => record.attempt >= attempt,
        JobState::Running => record.attempt > attempt,
        _ => true,
    };
    match is_over {
        true => Err(Kind::Over.into()),
        false => Ok(record),
    }
}
