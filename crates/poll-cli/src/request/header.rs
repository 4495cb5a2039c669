//! `-H` and `-u`.

use std::str::FromStr;

use base64::prelude::{BASE64_STANDARD, Engine};
use http::{HeaderName, HeaderValue};
use http_polling::IDEMPOTENCY_KEY;

/// A value of `-H`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum HeaderLine {
    /// `Name: value`, or `Name;` for an empty value.
    Set(HeaderName, HeaderValue),
    /// `Name:`, which removes a default header.
    Remove(HeaderName),
}

impl HeaderLine {
    pub(crate) fn name(&self) -> &HeaderName {
        match self {
            Self::Set(name, _) | Self::Remove(name) => name,
        }
    }
}

impl FromStr for HeaderLine {
    type Err = String;

    fn from_str(line: &str) -> Result<Self, String> {
        let is_empty = |line: &str| line.ends_with(';') && !line.contains(':');
        let (name, value) = match line.split_once(':') {
            Some((name, value)) => (name, value.trim()),
            None if is_empty(line) => (&line[..line.len() - 1], ""),
            None => return Err("must be `Name: value`, `Name;` or `Name:`".to_owned()),
        };
        let name = HeaderName::from_str(name).map_err(|_| format!("`{name}` is no header name"))?;
        if value.is_empty() && !is_empty(line) {
            return Ok(Self::Remove(name));
        }
        let value = HeaderValue::from_bytes(value.as_bytes())
            .map_err(|_| format!("the value of `{name}` has control characters"))?;
        Ok(Self::Set(name, value))
    }
}

/// Returns whether a header of this name is a secret, which is never shown, and
/// never sent to another origin than the submission's.
pub(crate) fn is_credential(name: &HeaderName) -> bool {
    let name = name.as_str();
    let is_author = name.contains("author") && !name.contains("authoriz");
    (name.contains("auth") && !is_author)
        || (name.ends_with("-key") && name != IDEMPOTENCY_KEY.as_str())
        || [
            "cookie",
            "token",
            "secret",
            "passw",
            "credential",
            "session",
            "jwt",
            "api-key",
            "apikey",
        ]
        .iter()
        .any(|word| name.contains(word))
}

/// Returns whether a header contains no information about the caller, so that
/// polls may carry it to every origin.
pub(crate) fn goes_everywhere(name: &HeaderName) -> bool {
    matches!(
        name.as_str(),
        "accept"
            | "accept-encoding"
            | "accept-language"
            | "baggage"
            | "te"
            | "traceparent"
            | "tracestate"
            | "user-agent"
    )
}

/// Returns the value of `Authorization` for a user and password (RFC 7617).
pub(super) fn basic(user: &str) -> HeaderValue {
    let colon = if user.contains(':') { "" } else { ":" };
    let text = format!("Basic {}", BASE64_STANDARD.encode(format!("{user}{colon}")));
    let mut value = HeaderValue::try_from(text).expect("base64 is visible ASCII");
    value.set_sensitive(true);
    value
}
