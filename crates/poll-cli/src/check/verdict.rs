//! The outcome of a check.

use super::record::Exchange;
use crate::words::start;

/// The outcome of a check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Pass,
    /// The server breaks a requirement.
    Fail(Finding),
    /// The server does not follow a recommendation.
    Warn(Finding),
    /// The server does not offer what the requirement is about, or it cannot be seen.
    NotApplicable(String),
    /// An exchange that the check needs did not come in time.
    Timeout(String),
}

/// A difference between what the protocol expects and what the server does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) expected: String,
    pub(super) got: String,
    /// The command that repeats the request.
    pub(super) curl: String,
}

/// The outcome of a rule: nothing if the server obeys it.
pub(super) type Judged = Result<(), Verdict>;

impl Verdict {
    /// Returns the word for the outcome.
    pub(super) fn word(&self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail(_) => "FAIL",
            Self::Warn(_) => "warn",
            Self::NotApplicable(_) => "n/a",
            Self::Timeout(_) => "timeout",
        }
    }
}

impl Exchange {
    /// Requires `condition` of this exchange.
    pub(super) fn must(
        &self,
        condition: bool,
        expected: impl Into<String>,
        got: impl Into<String>,
    ) -> Judged {
        self.judge(condition, Verdict::Fail, expected, got)
    }

    /// Recommends `condition` for this exchange.
    pub(super) fn should(
        &self,
        condition: bool,
        expected: impl Into<String>,
        got: impl Into<String>,
    ) -> Judged {
        self.judge(condition, Verdict::Warn, expected, got)
    }

    /// Requires a status of the answer.
    pub(super) fn must_be(&self, expected: u16) -> Judged {
        let answer = &self.answer;
        self.must(
            answer.status == expected,
            expected.to_string(),
            answer.summary(),
        )
    }

    /// Returns `verdict` with the difference, unless `condition` is met.
    fn judge(
        &self,
        condition: bool,
        verdict: fn(Finding) -> Verdict,
        expected: impl Into<String>,
        got: impl Into<String>,
    ) -> Judged {
        if condition {
            return Ok(());
        }
        Err(verdict(Finding {
            expected: start(&expected.into()),
            got: start(&got.into()),
            curl: self.curl(),
        }))
    }
}

/// Returns the verdict that a check does not apply.
pub(super) fn not_applicable(reason: impl Into<String>) -> Verdict {
    Verdict::NotApplicable(reason.into())
}
