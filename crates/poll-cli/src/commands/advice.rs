//! The server's explanation of a failure, and hints.

use std::error::Error as _;

use http::{HeaderName, HeaderValue, header::LOCATION};
use http_polling::Problem;
use tower_poll::{Error, Hint, is_of_one_message};

use crate::{arguments::Connection, request::is_credential, words::start};

/// The hint for a client that sent no credentials.
pub(super) const NO_CREDENTIALS: &str = "no credentials were sent: -u or -H gives them";

/// Describes a `Location` that is not followed.
pub(super) fn sent_location(location: &HeaderValue) -> String {
    let location = String::from_utf8_lossy(location.as_bytes());
    format!("the server sent Location: {}", start(&location))
}

/// Describes the server's explanation.
pub(super) fn explained(said: &str) -> String {
    let said = start(said);
    format!("the server said: {said}")
}

/// Describes a hint.
pub(super) fn hinted(hint: &str) -> String {
    format!("hint: {hint}")
}

/// Returns further lines about an error.
pub(super) fn advice(error: &Error, connection: &Connection) -> Vec<String> {
    let mut lines = Vec::new();
    if error.is_bad_location()
        && let Some(headers) = error.headers()
    {
        lines.extend(headers.get_all(LOCATION).iter().map(sent_location));
    }
    if let Some(said) = said(error) {
        lines.push(explained(&said));
    }
    if let Some(hint) = error.hint().and_then(|hint| help(hint, connection)) {
        lines.push(hinted(&hint));
    }
    lines
}

/// Returns the server's explanation, unless the error contains it.
fn said(error: &Error) -> Option<String> {
    if error.source().is_some_and(|source| source.is::<Problem>()) {
        return None;
    }
    let text = match error.problem() {
        Some(problem) => problem.to_string(),
        None => error.text()?.trim().to_owned(),
    };
    (!text.is_empty()).then_some(text)
}

/// Phrases a hint with the options of the command line.
fn help(hint: &Hint, connection: &Connection) -> Option<String> {
    Some(match hint {
        Hint::AllowOrigin(origin) => {
            let origin = origin.to_string();
            let origin = origin.trim_end_matches('/');
            format!("--cross-origin={origin} allows polls there")
        }
        Hint::PublicBase | Hint::HttpsProxy => format!("{hint} (`public_base`)"),
        Hint::KeepHeader => match withheld(connection) {
            Some(name) => {
                format!("polls did not carry {name}: --keep-header {name} sends it along")
            }
            None if connection.has_credentials() => return None,
            None => NO_CREDENTIALS.to_owned(),
        },
        hint => hint.to_string(),
    })
}

/// Finds a header of -H that polls do not carry and that may be a credential.
fn withheld(connection: &Connection) -> Option<&HeaderName> {
    let is_withheld = |name: &&HeaderName| {
        let may_be_credential = name.as_str().starts_with("x-") || is_credential(name);
        let is_dropped = is_of_one_message(name) || connection.drop_header.contains(name);
        may_be_credential && is_dropped && !connection.keep_header.contains(name)
    };
    let mut names = connection.headers.iter().map(|line| line.name());
    names.find(|name| is_withheld(name))
}
