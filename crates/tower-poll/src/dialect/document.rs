//! Reading the members of a status document.

use http::{HeaderMap, header::CONTENT_TYPE};
use http_polling::{JobState, Problem, Progress};
use serde_json::Value;

use super::error::DialectError;

/// Reads a member that must be a string. `None` if it is absent, null or
/// empty.
pub(super) fn text<'a>(
    document: &'a Value,
    member: &'static str,
) -> Result<Option<&'a str>, DialectError> {
    match document.get(member) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok((!text.is_empty()).then_some(text)),
        Some(_) => Err(DialectError::mistyped(member, "a string")),
    }
}

/// Reads a member from 0 to 100. Progress decides nothing, so that any other
/// value counts as absent.
pub(super) fn percent(document: &Value, member: &str) -> Option<Progress> {
    let percent = document.get(member)?.as_f64()?;
    Some(Progress::fraction(percent / 100.0))
}

/// States, each with the words for it.
pub(super) type States = [(JobState, &'static [&'static str])];

/// Returns the state that `status` is a word for, in any case.
pub(super) fn state(status: &str, states: &States) -> Option<JobState> {
    let is = |words: &[&str]| words.iter().any(|word| word.eq_ignore_ascii_case(status));
    let found = states.iter().find(|(_, words)| is(words));
    found.map(|(state, _)| *state)
}

/// Returns whether the body is declared as JSON.
pub(super) fn is_json(headers: &HeaderMap) -> bool {
    let Some(Ok(value)) = headers.get(CONTENT_TYPE).map(|value| value.to_str()) else {
        return false;
    };
    is_json_type(value.split(';').next().unwrap_or_default().trim())
}

/// Returns whether `media_type` is `application/json`, or ends in `+json`.
pub(super) fn is_json_type(media_type: &str) -> bool {
    let (_, subtype) = media_type.split_once('/').unwrap_or_default();
    let suffix = subtype.rsplit('+').next().unwrap_or_default();
    suffix.eq_ignore_ascii_case("json")
}

/// Reads the problem in `error`, if that is an object. Members other than
/// `code` and `message`, such as `details`, become extensions.
pub(super) fn problem(document: &Value) -> Option<Box<Problem>> {
    let mut error = document.get("error")?.as_object()?.clone();
    let mut text = |name| match error.remove(name) {
        Some(Value::String(text)) => Some(text),
        _ => None,
    };
    let mut problem = Problem::default();
    problem.title = text("code");
    problem.detail = text("message");
    problem.extensions = error;
    Some(Box::new(problem))
}
