//! The servers that deliver results later, by their URLs.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tower_async_job::store::{JobHandle, Outside};

use super::token::Token;

/// A server that continues a run and delivers its result later. Its URLs say all that there is to know
/// of it, so that any gateway can serve them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Party {
    pub(super) handle: JobHandle,
    pub(super) attempt: u32,
    /// The time of the job's deadline, in seconds.
    deadline: u64,
    /// The time for which it may be silent, in seconds.
    timeout: u64,
    /// The run, at the gateway that has begun it.
    pub(super) run: Token,
    /// Random bits, beside those of the run.
    secret: u64,
}

impl Party {
    /// Creates the party of a run.
    pub(super) fn new(
        run: Token,
        (handle, attempt): (JobHandle, u32),
        deadline: SystemTime,
        timeout: Duration,
    ) -> Self {
        let deadline = deadline.duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
            handle,
            attempt,
            deadline: deadline.as_secs(),
            timeout: timeout.as_secs().max(1),
            run,
            secret: rand::random(),
        }
    }

    /// Reads the last segment of a URL.
    pub(super) fn of(segment: &str) -> Option<Self> {
        let parts: Vec<_> = segment.split('-').collect();
        let [handle, attempt, deadline, timeout, secret] = parts[..] else {
            return None;
        };
        let (run, secret) = secret.split_at_checked(32)?;
        let party = Self {
            handle: handle.parse().ok()?,
            attempt: attempt.parse().ok()?,
            deadline: deadline.parse().ok()?,
            timeout: timeout.parse().ok()?,
            run: Token::of(run)?,
            secret: u64::from_str_radix(secret, 16).ok()?,
        };
        // Each has one spelling.
        (party.segment() == segment).then_some(party)
    }

    /// Returns the last segment of its URLs.
    pub(super) fn segment(&self) -> String {
        format!("{}-{}", self.handle, self.token())
    }

    /// Returns its secret. The terms are a part of it, so that they cannot be changed.
    pub(super) fn token(&self) -> String {
        let Self {
            attempt,
            deadline,
            timeout,
            run,
            secret,
            ..
        } = self;
        format!("{attempt}-{deadline}-{timeout}-{run}{secret:016x}")
    }

    /// Returns the time until the deadline of the job.
    pub(super) fn left(&self) -> Duration {
        let deadline = UNIX_EPOCH.checked_add(Duration::from_secs(self.deadline));
        let left = deadline.and_then(|deadline| deadline.duration_since(SystemTime::now()).ok());
        left.unwrap_or_default()
    }

    /// Returns the time for which it may be silent from now.
    pub(super) fn time(&self) -> Duration {
        Duration::from_secs(self.timeout)
    }

    /// Returns the URLs for its reports and for its result, which begin so.
    pub(crate) fn urls(&self, base: &str) -> (String, String) {
        let segment = self.segment();
        (
            format!("{base}/runs/{segment}"),
            format!("{base}/results/{segment}"),
        )
    }

    /// Returns the party as the store knows it.
    pub(crate) fn outside(&self) -> Outside {
        Outside::new(self.token(), self.time())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_says_all_of_a_party() {
        let job = (JobHandle::random(), 3);
        let deadline = SystemTime::now() + Duration::from_secs(100);
        let party = Party::new(Token::random(), job, deadline, Duration::from_secs(60));
        let segment = party.segment();
        assert_eq!(Party::of(&segment), Some(party.clone()));
        assert!(party.left() > Duration::from_secs(98) && party.left() <= Duration::from_secs(100));
        // The terms cannot be changed.
        let longer = Party::of(&segment.replace("-60-", "-61-")).expect("another party");
        assert_ne!(longer.outside().token, party.outside().token);
        for other in [
            segment.to_uppercase(),
            segment.replace("-60-", "-060-"),
            segment.replace("-60-", "-+60-"),
            format!("{segment}0"),
            segment[1..].to_owned(),
            segment[..segment.len() - 1].to_owned(),
            segment.replace("-3-", "--"),
            format!("{segment}-"),
            "ä".repeat(20),
        ] {
            let other = Party::of(&other);
            assert!(
                other.is_none_or(|other| other.handle != party.handle),
                "{segment}"
            );
        }
    }
}
