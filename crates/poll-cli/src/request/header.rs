//! `-H` and `-u`.

use std::str::FromStr;

use base64::prelude::{BASE64_STANDARD, Engine};
use http::{
    HeaderName, HeaderValue,
    header::{AUTHORIZATION, COOKIE, PROXY_AUTHORIZATION, SET_COOKIE},
};

/// A value of `-H`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum HeaderLine {
    /// `Name: value`, or `Name;` for an empty value.
    Set(HeaderName, HeaderValue),
    /// `Name:`, which keeps a header from being sent by default.
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
        let mut value = HeaderValue::from_bytes(value.as_bytes())
            .map_err(|_| format!("the value of `{name}` has control characters"))?;
        value.set_sensitive(is_credential(&name));
        Ok(Self::Set(name, value))
    }
}

/// Whether values of this name are secrets: never shown, and never sent to
/// another origin than the submission's.
pub(crate) fn is_credential(name: &HeaderName) -> bool {
    [AUTHORIZATION, PROXY_AUTHORIZATION, COOKIE, SET_COOKIE].contains(name)
        || [
            "token",
            "secret",
            "password",
            "api-key",
            "apikey",
            "subscription-key",
        ]
        .iter()
        .any(|word| name.as_str().contains(word))
}

/// `Authorization` for a user and password (RFC 7617).
pub(super) fn basic(user: &str) -> HeaderValue {
    let colon = if user.contains(':') { "" } else { ":" };
    let text = format!("Basic {}", BASE64_STANDARD.encode(format!("{user}{colon}")));
    let mut value = HeaderValue::try_from(text).expect("base64 is visible ASCII");
    value.set_sensitive(true);
    value
}
