//! Errors with advice about their cause.

use http::Uri;
use http_polling::{JobState, is_downgrade};

use super::state::{Session, origin_of};
use crate::error::{Error, Hint, Kind};

impl<P> Session<P> {
    /// Returns the advice for a poll of `to` that would leave the origin.
    pub(super) fn origin_hint(&self, to: &Uri) -> Hint {
        if is_downgrade(&self.course.asked, to) {
            Hint::HttpsProxy
        } else {
            Hint::AllowOrigin(origin_of(to))
        }
    }

    /// Returns the error of a poll that the server refused by 401 or 403.
    pub(crate) fn unauthorized(&self) -> Error {
        Error::new(Kind::Unauthorized).with_hint(match self.crossed {
            true => Hint::CredentialsDropped,
            false => Hint::KeepHeader,
        })
    }

    /// Returns the error of a poll whose URL the server does not know.
    pub(super) fn lost(&self) -> Error {
        // If a proxy strips a prefix, it is missing from all URLs of a job.
        let hint = (!self.is_found && !self.crossed).then_some(Hint::PublicBase);
        Error::job(JobState::Unknown, None).with_hint(hint)
    }
}
