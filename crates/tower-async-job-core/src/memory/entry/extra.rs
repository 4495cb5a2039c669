//! The parts of a job that are rare.

use bytes::Bytes;
use http_polling::{JobState, Progress};

use crate::{
    end::Report,
    json::Json,
    memory::clock::{Micros, NEVER},
    record::NotificationStatus,
};

/// The reports on a job, and rarer parts.
#[derive(Debug, Default)]
pub(super) struct Extra {
    pub(super) progress: Option<Progress>,
    pub(super) partial: Option<Json>,
    pub(super) metadata: Option<Json>,
    /// The number of reports that clients can see, including those of a lost record.
    pub(super) reports: u64,
    pub(super) rare: Option<Box<Rare>>,
}

#[derive(Debug, Default)]
pub(super) struct Rare {
    pub(super) checkpoint: Bytes,
    pub(super) notice: Option<Notice>,
    /// The number of claims of the notification that is completed.
    pub(super) completed: Option<u32>,
    pub(super) party: Option<Party>,
}

/// A notification.
#[derive(Debug)]
pub(super) struct Notice {
    pub(super) message: Bytes,
    /// The time from which it may be claimed; `NEVER` before the job's end.
    pub(super) due: Micros,
    /// The number of its claims.
    pub(super) attempts: u32,
    /// The state in which the job ended.
    pub(super) state: JobState,
}

/// The outside party that has the run.
#[derive(Debug)]
pub(super) struct Party {
    pub(super) token: [u8; 32],
    /// The time until which the party has the run.
    pub(super) until: Micros,
    /// True if a node has taken the job over in the party's name.
    pub(super) resumed: bool,
}

impl Extra {
    pub(super) fn new(notify: Bytes) -> Self {
        let notice = Some(Notice {
            message: notify,
            due: NEVER,
            attempts: 0,
            state: JobState::Queued,
        });
        let rare = Rare {
            notice,
            ..Rare::default()
        };
        Self {
            rare: Some(Box::new(rare)),
            ..Self::default()
        }
    }

    pub(super) fn report(&mut self, report: Report) {
        let is_visible = report.progress.is_some() || report.partial.is_some();
        self.reports += u64::from(is_visible || report.metadata.is_some());
        self.progress = report.progress.or(self.progress.take());
        self.partial = report.partial.or(self.partial.take());
        self.metadata = report.metadata.or(self.metadata.take());
        if let Some(checkpoint) = report.checkpoint {
            self.rare.get_or_insert_default().checkpoint = checkpoint;
        }
    }

    /// Drops the data of a run that is over.
    pub(super) fn forget_run(&mut self) {
        self.progress = None;
        self.partial = None;
        if let Some(rare) = &mut self.rare {
            rare.party = None;
        }
    }

    pub(super) fn notice_mut(&mut self) -> Option<&mut Notice> {
        self.rare.as_mut()?.notice.as_mut()
    }

    /// Leaves only the notification, if there is one.
    pub(super) fn into_notice(self) -> Option<Box<Self>> {
        let notice = self.rare?.notice?;
        let rare = Rare {
            notice: Some(notice),
            ..Rare::default()
        };
        Some(Box::new(Self {
            rare: Some(Box::new(rare)),
            ..Self::default()
        }))
    }

    /// Returns the state of the notification of an ended job.
    pub(super) fn notification(&self) -> Option<NotificationStatus> {
        let rare = self.rare.as_ref()?;
        let due = rare.notice.as_ref().filter(|notice| notice.due != NEVER);
        let due = due.map(|notice| NotificationStatus::new(notice.attempts, true));
        let completed = rare.completed;
        due.or_else(|| Some(NotificationStatus::new(completed?, false)))
    }

    /// Returns whether there is no notification.
    pub(super) fn is_silent(&self) -> bool {
        self.rare.as_ref().is_none_or(|rare| rare.notice.is_none())
    }

    /// Returns its bytes in the budget.
    pub(super) fn len(&self) -> usize {
        let rare = self.rare.as_ref().map_or(0, |rare| {
            let notice = rare
                .notice
                .as_ref()
                .map_or(0, |notice| notice.message.len());
            rare.checkpoint.len() + notice
        });
        let message = self
            .progress
            .as_ref()
            .and_then(|progress| progress.message.as_ref());
        message.map_or(0, String::len)
            + self.partial.as_ref().map_or(0, Json::len)
            + self.metadata.as_ref().map_or(0, Json::len)
            + rare
    }
}
