//! The refusal of a policy.

use std::{borrow::Cow, error::Error, fmt};

/// The reason why a [`PollPolicy`](crate::PollPolicy) does not poll.
///
/// It is the source of the caller's [`Error`](crate::Error).
///
/// ```
/// use tower_poll::Refusal;
///
/// let refusal = Refusal::new("the job URL is on a deny-list");
/// assert_eq!(refusal.to_string(), "the job URL is on a deny-list");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    reason: Cow<'static, str>,
    is_cross_origin: bool,
}

impl Refusal {
    /// Creates a refusal for a reason in words: lower case, without full stop.
    pub fn new(reason: impl Into<Cow<'static, str>>) -> Self {
        Self {
            reason: reason.into(),
            is_cross_origin: false,
        }
    }

    /// Creates a refusal of a poll that would leave the origin of the
    /// submission, or give up its transport security.
    /// [`Error::is_cross_origin`](crate::Error::is_cross_origin) is then true.
    pub fn cross_origin(reason: impl Into<Cow<'static, str>>) -> Self {
        Self {
            reason: reason.into(),
            is_cross_origin: true,
        }
    }

    /// Returns whether this was made by [`cross_origin`](Self::cross_origin).
    pub fn is_cross_origin(&self) -> bool {
        self.is_cross_origin
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

impl Error for Refusal {}
