//! Jobs for and from other processes.

use std::sync::Arc;

use http::{HeaderMap, Method, Uri};
use http_polling::JobState;
use tokio::time::Instant;

use super::{
    clock::Clock,
    mending::mended,
    state::{Before, Session, Summary},
};
use crate::{config::Shared, dialect::Chosen, pending_job::PendingJob, request::Sent};

impl<P> Session<P> {
    /// The job, if one was accepted.
    pub(crate) fn accepted(&self, now: Instant) -> Option<PendingJob> {
        self.job(now)
            .or_else(|| Some(self.job_at(self.supposed_url()?.clone(), Summary::default(), now)))
    }

    /// The job by the last pending answer, at its own URL.
    fn job(&self, now: Instant) -> Option<PendingJob> {
        let url = self.left.as_deref().unwrap_or(self.url());
        Some(self.job_at(url.clone(), self.summary?, now))
    }

    /// Returns the job at its last URL, or at the `url` of an answer to the
    /// submission, which may not be polled.
    pub(super) fn job_or_at(&self, url: Uri, summary: Summary, now: Instant) -> PendingJob {
        self.job(now)
            .unwrap_or_else(|| self.job_at(url, summary, now))
    }

    fn job_at(&self, url: Uri, summary: Summary, now: Instant) -> PendingJob {
        let Before { polls, elapsed } = self.before();
        PendingJob {
            url,
            origin: self.course.origin.clone(),
            method: match self.method {
                Method::HEAD => Method::HEAD,
                _ => Method::GET,
            },
            polls: polls.saturating_add(self.course.polls),
            elapsed: elapsed.saturating_add(now.saturating_duration_since(self.course.sent)),
            retry_after: summary.retry_after,
            due: self
                .answer
                .as_ref()
                .map(|answer| self.clock.wall(answer.due)),
            state: summary.state,
            has_status: self.has_status,
            is_cancellable: summary.is_cancellable,
            crossed: self.crossed,
            dialect: self
                .dialect
                .as_deref()
                .map(|(dialect, context)| Box::new((dialect.name().to_owned(), context.clone()))),
        }
    }

    /// Returns the URL at which a dialect would poll for a job that was
    /// announced by an unreadable answer.
    fn supposed_url(&self) -> Option<&Uri> {
        let (_, context) = self.dialect.as_deref()?;
        let announced = &context.announced;
        [
            &announced.azure_async_operation,
            &announced.operation_location,
            &announced.location,
            &announced.content_location,
        ]
        .into_iter()
        .find_map(Option::as_ref)
        .or(self.is_at_url().then_some(&self.course.asked))
    }

    /// Returns the job of an unreadable answer: at its last URL, or at the one
    /// that these headers probably mean.
    pub(super) fn meant(&self, headers: &HeaderMap, now: Instant) -> Option<PendingJob> {
        let meant = || {
            let summary = Summary {
                state: JobState::from_headers(headers),
                ..Summary::default()
            };
            Some(self.job_at(mended(&self.course.asked, headers)?, summary, now))
        };
        self.job(now).or_else(meant).or_else(|| self.accepted(now))
    }

    /// Sets the last pending answer to that of the stored job.
    pub(crate) fn summarize(&mut self, job: &PendingJob) {
        self.summary = Some(Summary {
            retry_after: job.retry_after,
            state: job.state,
            is_cancellable: job.is_cancellable,
        });
    }

    /// Creates the session of a stored job. The policy is called when the
    /// first poll is [announced](Self::next).
    ///
    /// `None` if the job's dialect is unknown.
    pub(crate) fn resume(
        job: &PendingJob,
        sent: Sent,
        shared: Arc<Shared<P>>,
        clock: Clock,
    ) -> Option<Self>
    where
        P: Clone,
    {
        let dialect = match job.dialect.as_deref() {
            None => None,
            Some((name, context)) => {
                let dialect = Chosen::by_name(name, &shared.config.dialects)?;
                Some(Box::new((dialect, context.clone())))
            }
        };
        let mut session = Self::start(sent, job.origin.clone(), shared, clock);
        session.before = Some(Box::new(Before {
            polls: job.polls,
            elapsed: job.elapsed,
        }));
        session.dialect = dialect;
        session.has_status = job.has_status;
        session.is_found = job.polls > 0;
        session.summarize(job);
        if job.crossed {
            session.drop_credentials();
        }
        Some(session)
    }
}
