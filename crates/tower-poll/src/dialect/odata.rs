//! OData.

use http::{HeaderName, StatusCode, header::LOCATION};
use http_polling::{JobState, PreferenceApplied};

use super::{answer::Answer, error::DialectError, reader::Dialect, step::Step};

const ASYNC_RESULT: HeaderName = HeaderName::from_static("asyncresult");
const ODATA_VERSION: HeaderName = HeaderName::from_static("odata-version");

/// Asynchronous requests in OData 4.01 (part 1, section 11.6).
///
/// A 202 with `Location` and `OData-Version` or `Preference-Applied:
/// respond-async` names the status monitor. It answers 202 until the work is
/// done, then 200 with the response, whose status is in `AsyncResult`. Without
/// that field (version 4.0 has none) the 200 is passed up as it is: its body
/// may be a whole message of the type `application/http`.
///
/// ```
/// use tower_poll::dialect::{Dialect, ODataAsync};
///
/// assert_eq!(ODataAsync::new().name(), "odata");
/// ```
#[derive(Clone, Copy, Debug, Default)]
#[must_use]
pub struct ODataAsync {
    is_lenient: bool,
}

impl ODataAsync {
    /// Reads answers that have the headers named [above](Self).
    pub const fn new() -> Self {
        Self { is_lenient: false }
    }

    /// Sets whether answers without those headers are read too: a 202 with
    /// `Location` is then enough. A lenient dialect belongs [onto the
    /// layer](crate::PollLayer::dialect). Off by default.
    ///
    /// ```
    /// let dialect = tower_poll::dialect::ODataAsync::new().lenient(true);
    /// ```
    pub const fn lenient(mut self, is_lenient: bool) -> Self {
        self.is_lenient = is_lenient;
        self
    }
}

impl Dialect for ODataAsync {
    fn name(&self) -> &str {
        "odata"
    }

    fn recognises(&self, answer: &Answer<'_>) -> bool {
        answer.status() == StatusCode::ACCEPTED
            && answer.headers().contains_key(LOCATION)
            && JobState::from_headers(answer.headers()).is_none()
            && (self.is_lenient
                || answer.headers().contains_key(ODATA_VERSION)
                || PreferenceApplied::from_headers(answer.headers()).respond_async())
    }

    fn read(&self, answer: &Answer<'_>) -> Result<Step, DialectError> {
        if answer.is_to_submission() || answer.status() != StatusCode::OK {
            return Ok(Step::AsHead);
        }
        match answer.headers().get(ASYNC_RESULT) {
            None => Ok(Step::Done),
            Some(code) => StatusCode::from_bytes(code.as_bytes().trim_ascii())
                .ok()
                // An interim code cannot be the status of a response.
                .filter(|code| !code.is_informational())
                .map(Step::DoneAs)
                .ok_or(DialectError::mistyped("AsyncResult", "a status code")),
        }
    }
}

#[cfg(test)]
mod tests;
