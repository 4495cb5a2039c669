use http_polling::JobState;

/// Returns the state with this number, as clients see it; `None` if there is no job.
pub(crate) fn state_of(number: i16) -> Option<JobState> {
    Some(match number {
        0 => JobState::Queued,
        1 => JobState::Running,
        2 => JobState::Done,
        3 => JobState::Failed,
        4 => JobState::TimedOut,
        5 => JobState::Lost,
        6 => JobState::Cancelled,
        7 | 8 => JobState::Expired,
        _ => return None,
    })
}
