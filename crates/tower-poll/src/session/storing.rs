//! Jobs that go on elsewhere, or came from there.

use std::sync::Arc;

use tokio::time::Instant;

use super::{Before, Session, Told};
use crate::{PendingJob, clock::Clock, config::Shared, dialect::Chosen, submission::Sent};

impl<P> Session<P> {
    /// Where the job can be asked for, if it was accepted.
    pub(crate) fn job(&self, now: Instant) -> Option<PendingJob> {
        let told = self.told?;
        let Before { polls, elapsed } = self.before();
        Some(PendingJob {
            url: self.url().clone(),
            origin: self.course.origin.clone(),
            method: self.method.clone(),
            polls: polls.saturating_add(self.course.polls),
            elapsed: elapsed.saturating_add(now.saturating_duration_since(self.course.sent)),
            retry_after: told.retry_after,
            due: self
                .answer
                .as_ref()
                .map(|answer| self.clock.wall(answer.due)),
            state: told.state,
            is_cancellable: told.is_cancellable,
            crossed: self.crossed,
            dialect: self.spoken.as_deref().map(|(dialect, spoken)| {
                let name = dialect.name().to_owned();
                Box::new((name, spoken.clone()))
            }),
        })
    }

    /// Has the last pending answer be what it was before the job was resumed.
    pub(crate) fn tell_as_stored(&mut self, job: &PendingJob) {
        self.told = Some(Told {
            retry_after: job.retry_after,
            state: job.state,
            is_cancellable: job.is_cancellable,
        });
    }

    /// The session of a job that was accepted before. The policy is asked
    /// when the first poll is [announced](Self::next).
    ///
    /// `None` if the job's dialect is not known.
    pub(crate) fn resume(
        job: &PendingJob,
        sent: Sent,
        shared: Arc<Shared<P>>,
        clock: Clock,
    ) -> Option<Self>
    where
        P: Clone,
    {
        let spoken = match job.dialect.as_deref() {
            None => None,
            Some((name, spoken)) => {
                let dialect = Chosen::by_name(name, &shared.config.dialects)?;
                Some(Box::new((dialect, spoken.clone())))
            }
        };
        let mut session = Self::start(sent, job.origin.clone(), shared, clock);
        session.before = Some(Box::new(Before {
            polls: job.polls,
            elapsed: job.elapsed,
        }));
        session.course.asked = job.url.clone();
        session.spoken = spoken;
        session.tell_as_stored(job);
        if job.crossed {
            session.drop_credentials();
        }
        Some(session)
    }
}
