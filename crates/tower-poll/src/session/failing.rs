//! Polls that fail, and their repetition.

use std::time::Duration;

use http::{HeaderMap, StatusCode};
use http_polling::{has_retry_after, retry_after};
use tokio::time::Instant;

use super::{state::Session, verdict::Verdict};
use crate::{
    dialect::Interim,
    statuses::{is_failure, waits},
};

/// The most repeats of a poll that is answered with 500, since some servers
/// answer so for work that failed.
const MOST_500: u32 = 3;

/// A held poll that ends after this time was cut for being held.
const CUT_AFTER: Duration = Duration::from_secs(1);

/// The most good polls before a failed one that count for the budget.
const MOST_PAID: u32 = 100;

impl<P> Session<P> {
    /// Reads an answer without `Job-Status`. `None` unless the poll failed,
    /// rather than the job.
    pub(super) fn failed(
        &mut self,
        status: StatusCode,
        headers: &HeaderMap,
        now: Instant,
    ) -> Option<Verdict> {
        if status == StatusCode::UNAUTHORIZED {
            return Some(Verdict::Unauthorized);
        }
        // With Retry-After, some are pending answers like others.
        if !is_failure(status) || waits(status) && has_retry_after(headers) {
            return None;
        }
        let is_500 = status == StatusCode::INTERNAL_SERVER_ERROR;
        if is_500 && self.retries >= MOST_500 {
            return Some(Verdict::GivenUp);
        }
        // An intermediary that gives up answers with neither of these.
        let may_be_cut = !is_500 && status != StatusCode::TOO_MANY_REQUESTS;
        let delay = retry_after(headers, self.clock.wall(now));
        let repeat = self.repeat(delay, may_be_cut, now);
        Some(repeat.map_or(Verdict::GivenUp, Verdict::Pending))
    }

    /// Returns the repetition of a poll that failed, if there may be one.
    pub(crate) fn repeat(
        &mut self,
        delay: Option<Duration>,
        may_be_cut: bool,
        now: Instant,
    ) -> Option<Interim> {
        let held = now.saturating_duration_since(self.course.polled);
        if may_be_cut && self.shared.config.long_poll.is_some() && held >= CUT_AFTER {
            // An intermediary gave up on the held connection.
            return Some(self.once_more(delay.or(Some(Duration::ZERO))));
        }
        // Paid in only now, so that calls without failures do not pay.
        let good = self.course.polls - self.last_failure - 1;
        (0..good.min(MOST_PAID)).for_each(|_| self.shared.budget.deposit());
        self.last_failure = self.course.polls;
        let may = self.retries < self.shared.config.poll_retries && self.shared.budget.withdraw();
        may.then(|| {
            self.retries += 1;
            self.once_more(delay)
        })
    }

    /// Returns a poll of the URL that was polled last.
    pub(crate) fn once_more(&self, retry_after: Option<Duration>) -> Interim {
        Interim {
            retry_after,
            state: self.summary.and_then(|summary| summary.state),
            ..Interim::at(self.course.asked.clone())
        }
    }
}
