//! FHIR.

use http::{
    HeaderName, StatusCode,
    header::{CONTENT_LOCATION, LOCATION},
};
use http_polling::Progress;

use super::{
    answer::Answer,
    error::DialectError,
    reader::Dialect,
    step::{Interim, Step},
};

pub(crate) const X_PROGRESS: HeaderName = HeaderName::from_static("x-progress");

/// The number of characters of `X-Progress` that are read. By the
/// specification there are fewer than 100.
const MAX_MESSAGE: usize = 100;

/// Asynchronous requests in FHIR (R5, section 3.2.6) and its Bulk Data
/// Access.
///
/// A 202 with `Content-Location` announces the status URL, whose answers are
/// read by status codes and headers alone. The dialect adds the progress in
/// `X-Progress`: the text becomes its message, and a percentage in it, as in
/// `in progress: 32%`, its fraction.
///
/// ```
/// use tower_poll::dialect::{Dialect, FhirAsync};
///
/// assert_eq!(FhirAsync::new().name(), "fhir");
/// ```
#[derive(Clone, Copy, Debug, Default)]
#[must_use]
pub struct FhirAsync {
    is_lenient: bool,
}

impl FhirAsync {
    /// Reads answers that have `Content-Location` and no `Location`.
    pub const fn new() -> Self {
        Self { is_lenient: false }
    }

    /// Sets whether answers with a `Location` besides the `Content-Location`
    /// are read too. The latter leads to the status. A lenient dialect belongs
    /// [onto the layer](crate::PollLayer::dialect). Off by default.
    ///
    /// ```
    /// let dialect = tower_poll::dialect::FhirAsync::new().lenient(true);
    /// ```
    pub const fn lenient(mut self, is_lenient: bool) -> Self {
        self.is_lenient = is_lenient;
        self
    }
}

impl Dialect for FhirAsync {
    fn name(&self) -> &str {
        "fhir"
    }

    fn recognises(&self, answer: &Answer<'_>) -> bool {
        answer.status() == StatusCode::ACCEPTED
            && answer.headers().contains_key(CONTENT_LOCATION)
            && (self.is_lenient || !answer.headers().contains_key(LOCATION))
    }

    fn read(&self, answer: &Answer<'_>) -> Result<Step, DialectError> {
        let progress = answer.headers().get(X_PROGRESS);
        let tells_more = progress.is_some() || self.is_lenient;
        if answer.status() != StatusCode::ACCEPTED || !tells_more {
            return Ok(Step::AsHead);
        }
        let status_url = answer.url_in(&CONTENT_LOCATION)?;
        let next = match answer.url_in(&LOCATION)? {
            // Without the dialect, `Location` takes precedence.
            Some(location) if self.is_lenient => status_url.unwrap_or(location),
            Some(location) => location,
            None => status_url.unwrap_or(answer.asked().clone()),
        };
        Ok(Step::Pending(Interim {
            progress: progress.map(|text| progress_of(&String::from_utf8_lossy(text.as_bytes()))),
            ..answer.pending(next)
        }))
    }
}

fn progress_of(text: &str) -> Progress {
    let message: String = text.chars().take(MAX_MESSAGE).collect();
    match percentage(&message) {
        Some(percentage) => Progress::fraction(percentage / 100.0),
        None => Progress::default(),
    }
    .with_message(message)
}

/// Returns the first number that is followed by a percent sign.
fn percentage(text: &str) -> Option<f64> {
    text.split_inclusive('%').find_map(|piece| {
        let piece = piece.strip_suffix('%')?.trim_end();
        let head = piece.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
        piece[head.len()..].parse().ok()
    })
}

#[cfg(test)]
mod tests;
