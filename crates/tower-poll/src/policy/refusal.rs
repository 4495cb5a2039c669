//! A policy's no.

use std::{borrow::Cow, error::Error, fmt};

/// Why a [`PollPolicy`](crate::PollPolicy) does not poll.
///
/// It is the source of the [`Error`](crate::Error) that the caller gets.
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
    /// A refusal for a reason in words: lower case, without full stop.
    pub fn new(reason: impl Into<Cow<'static, str>>) -> Self {
        Self {
            reason: reason.into(),
            is_cross_origin: false,
        }
    }

    /// The poll would leave the origin of the submission, or give up its
    /// transport security. Makes
    /// [`Error::is_cross_origin`](crate::Error::is_cross_origin) true.
    pub fn cross_origin(reason: impl Into<Cow<'static, str>>) -> Self {
        Self {
            reason: reason.into(),
            is_cross_origin: true,
        }
    }

    /// Whether this was made by [`cross_origin`](Self::cross_origin).
    #[must_use]
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
