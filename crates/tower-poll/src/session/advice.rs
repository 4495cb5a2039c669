//! Errors with advice on what may help.

use http::Uri;
use http_polling::{JobState, is_downgrade};

use super::state::{Session, origin_of};
use crate::error::{Error, Hint, Kind};

impl<P> Session<P> {
    /// Advice for a poll of `to` that would leave the origin.
    pub(super) fn origin_hint(&self, to: &Uri) -> Hint {
        if is_downgrade(&self.course.asked, to) {
            Hint::HttpsProxy
        } else {
            Hint::AllowOrigin(origin_of(to))
        }
    }

    /// The error of a poll that the server refused for want of credentials.
    pub(crate) fn unauthorized(&self) -> Error {
        Error::new(Kind::Unauthorized).with_hint(match self.crossed {
            true => Hint::CredentialsDropped,
            false => Hint::KeepHeader,
        })
    }

    /// The error of a poll whose URL the server does not know.
    pub(super) fn lost(&self) -> Error {
        // A prefix is missing from all URLs of a job, if it is from one.
        let hint = (!self.is_found && !self.crossed).then_some(Hint::PublicBase);
        Error::job(JobState::Unknown, None).with_hint(hint)
    }
}
