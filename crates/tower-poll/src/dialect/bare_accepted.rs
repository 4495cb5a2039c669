//! A 202 and nothing else.

use http::{
    Method, StatusCode, Uri,
    header::{CONTENT_LOCATION, LOCATION},
};
use http_polling::JobState;

use super::{answer::Answer, error::DialectError, reader::Dialect, step::Step};

/// GET and HEAD answered with 202 without a URL or delay: the resource is not
/// there yet, and is polled at the same URL.
///
/// It is not built in, since a 202 may be the response. Put it [onto the
/// layer](crate::PollLayer::dialect) for APIs such as GitHub's statistics.
///
/// ```
/// use tower_poll::{PollLayer, dialect::BareAccepted};
///
/// let layer = PollLayer::new().dialect(BareAccepted::new());
/// ```
#[derive(Clone, Copy, Debug, Default)]
#[must_use]
pub struct BareAccepted(());

impl BareAccepted {
    /// Creates the dialect. There are no settings.
    pub const fn new() -> Self {
        Self(())
    }
}

impl Dialect for BareAccepted {
    fn name(&self) -> &str {
        "bare-202"
    }

    fn recognises(&self, answer: &Answer<'_>) -> bool {
        matches!(*answer.submission_method(), Method::GET | Method::HEAD)
            && answer.status() == StatusCode::ACCEPTED
            && !answer.headers().contains_key(LOCATION)
            && !answer.headers().contains_key(CONTENT_LOCATION)
            && JobState::from_headers(answer.headers()).is_none()
    }

    fn read(&self, answer: &Answer<'_>) -> Result<Step, DialectError> {
        Ok(match answer.is_to_submission() {
            true => Step::Pending(answer.pending(answer.asked().clone())),
            // To a poll, 202 needs no dialect.
            false => Step::AsHead,
        })
    }

    fn cancellation(&self, _: &Uri) -> Option<Uri> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::tests::{Call, SUBMITTED_TO, pending},
        *,
    };

    const BARE: BareAccepted = BareAccepted::new();

    #[test]
    fn only_a_bare_202_to_a_safe_method_is_recognised() {
        for (method, status, headers, expected) in [
            (Method::GET, 202, &[][..], true),
            (Method::HEAD, 202, &[], true),
            (Method::POST, 202, &[], false),
            (Method::GET, 200, &[], false),
            (Method::GET, 202, &[("location", "/1")], false),
            (Method::GET, 202, &[("content-location", "/1")], false),
            (Method::GET, 202, &[("job-status", "running")], false),
        ] {
            let found = Call::new(&BARE, method.clone()).recognises(status, headers);
            assert_eq!(found, expected, "{method} {status} {headers:?}");
        }
    }

    #[test]
    fn it_is_pending_where_it_is() {
        let mut call = Call::new(&BARE, Method::GET);
        assert_eq!(pending(call.submit(202, &[], "{}")).url, SUBMITTED_TO);
        for status in [200, 202, 404] {
            let step = call.poll(SUBMITTED_TO, status, &[], "[]").unwrap();
            assert_eq!(step, Step::AsHead);
        }
    }
}
