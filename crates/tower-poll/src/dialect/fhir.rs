//! FHIR.

use http::{
    StatusCode,
    header::{CONTENT_LOCATION, LOCATION},
};
use http_polling::Progress;

use super::{Answer, Dialect, DialectError, Interim, Step};
use crate::progress::X_PROGRESS;

/// How many characters of `X-Progress` are read; the specification has
/// servers send fewer than 100.
const MAX_MESSAGE: usize = 100;

/// Asynchronous requests in FHIR (R5, section 3.2.6) and its Bulk Data
/// Access.
///
/// They are 202 with `Content-Location`, and then say by status codes and
/// headers alone what is to be said. All that this reads besides is the
/// progress in `X-Progress`: the text becomes its message, and a percentage
/// in it, as in `in progress: 32%`, its fraction.
///
/// ```
/// use tower_poll::dialect::{Dialect, FhirAsync};
///
/// assert_eq!(FhirAsync::new().name(), "fhir");
/// ```
#[derive(Clone, Copy, Debug, Default)]
#[must_use]
pub struct FhirAsync(());

impl FhirAsync {
    /// Nothing can be set.
    pub const fn new() -> Self {
        Self(())
    }
}

impl Dialect for FhirAsync {
    fn name(&self) -> &'static str {
        "fhir"
    }

    fn recognises(&self, answer: &Answer<'_>) -> bool {
        answer.status() == StatusCode::ACCEPTED
            && answer.headers().contains_key(CONTENT_LOCATION)
            && !answer.headers().contains_key(LOCATION)
    }

    fn read(&self, answer: &Answer<'_>) -> Result<Step, DialectError> {
        let (StatusCode::ACCEPTED, Some(text)) =
            (answer.status(), answer.headers().get(X_PROGRESS))
        else {
            return Ok(Step::AsHead);
        };
        let announced = answer.announced();
        // Where the head by itself would have the next poll go.
        let next = if answer.headers().contains_key(LOCATION) {
            &announced.location
        } else if answer.headers().contains_key(CONTENT_LOCATION) {
            &announced.content_location
        } else {
            &None
        };
        let next = next.as_ref().unwrap_or(answer.asked());
        Ok(Step::Pending(Interim {
            progress: Some(progress(&String::from_utf8_lossy(text.as_bytes()))),
            ..answer.pending(next.clone())
        }))
    }
}

fn progress(text: &str) -> Progress {
    let message: String = text.chars().take(MAX_MESSAGE).collect();
    match percentage(&message) {
        Some(percentage) => Progress::fraction(percentage / 100.0),
        None => Progress::default(),
    }
    .with_message(message)
}

/// The first number with a percent sign behind it.
fn percentage(text: &str) -> Option<f64> {
    text.split_inclusive('%').find_map(|piece| {
        let piece = piece.strip_suffix('%')?.trim_end();
        let head = piece.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
        piece[head.len()..].parse().ok()
    })
}

#[cfg(test)]
mod tests;
