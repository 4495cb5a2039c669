use http_polling::JobState;
use rusqlite::{
    ToSql,
    types::{FromSql, FromSqlError, FromSqlResult, ToSqlOutput, ValueRef},
};

/// The state of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Queued = 0,
    Running = 1,
    Done = 2,
    Failed = 3,
    TimedOut = 4,
    Lost = 5,
    Cancelled = 6,
    /// Its result was dropped before its retention was over. Until then its key counts, or its
    /// notification may be claimed.
    Dropped = 7,
    /// Past its retention; only its existence and its owner are known.
    Expired = 8,
    /// No job: no create stores one with this id.
    Void = 9,
}

impl State {
    const ALL: [Self; 10] = [
        Self::Queued,
        Self::Running,
        Self::Done,
        Self::Failed,
        Self::TimedOut,
        Self::Lost,
        Self::Cancelled,
        Self::Dropped,
        Self::Expired,
        Self::Void,
    ];

    pub(crate) const fn is_pending(self) -> bool {
        matches!(self, Self::Queued | Self::Running)
    }

    /// Returns whether the job has ended and its outcome is kept.
    pub(crate) const fn is_kept_end(self) -> bool {
        matches!(
            self,
            Self::Done | Self::Failed | Self::TimedOut | Self::Lost | Self::Cancelled
        )
    }

    /// Returns the state as clients see it, unless time has changed it; `None` if there is no job.
    pub(crate) const fn shown(self) -> Option<JobState> {
        Some(match self {
            Self::Queued => JobState::Queued,
            Self::Running => JobState::Running,
            Self::Done => JobState::Done,
            Self::Failed => JobState::Failed,
            Self::TimedOut => JobState::TimedOut,
            Self::Lost => JobState::Lost,
            Self::Cancelled => JobState::Cancelled,
            Self::Dropped | Self::Expired => JobState::Expired,
            Self::Void => return None,
        })
    }

    /// Returns whether clients may see the job in this state, now or once time has passed.
    pub(crate) fn may_show(self, state: JobState) -> bool {
        self.shown() == Some(state) || state == JobState::Expired && !self.is_pending()
    }
}

impl ToSql for State {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::from(*self as i64))
    }
}

impl FromSql for State {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let number = value.as_i64()?;
        let place = usize::try_from(number).ok();
        let state = place.and_then(|place| Self::ALL.get(place));
        state.copied().ok_or(FromSqlError::OutOfRange(number))
    }
}
