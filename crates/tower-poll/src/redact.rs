//! URIs in logs.

use std::fmt::{self, Write};

use http::Uri;

/// The number of characters that are shown of a path's first segment.
const SHOWN: usize = 8;

/// A URI cut to its origin and the start of its path. The rest of a job's URL
/// may be enough to read its result, and is not logged.
#[derive(Clone, Copy)]
pub(crate) struct Redacted<'a>(pub(crate) &'a Uri);

impl fmt::Display for Redacted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(authority) = self.0.authority() {
            if let Some(scheme) = self.0.scheme_str() {
                write!(f, "{scheme}://")?;
            }
            // User information would be a password.
            f.write_str(authority.host())?;
            if let Some(port) = authority.port() {
                write!(f, ":{port}")?;
            }
        }
        let mut segments = self.0.path().trim_start_matches('/').split('/');
        match (segments.next(), segments.next()) {
            (None | Some(""), None) => f.write_char('/'),
            (_, None) => f.write_str("/…"),
            (first, Some(_)) => {
                let first = first.unwrap_or_default();
                f.write_char('/')?;
                first
                    .chars()
                    .take(SHOWN)
                    .try_for_each(|c| f.write_char(c))?;
                f.write_str(if first.chars().nth(SHOWN).is_some() {
                    "…/…"
                } else {
                    "/…"
                })
            }
        }
    }
}

impl fmt::Debug for Redacted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn job_id_and_password_are_not_shown() {
        for (uri, shown) in [
            (
                "https://example.com/work/0123456789?poll=1",
                "https://example.com/work/…",
            ),
            (
                "https://me:secret@example.com:8443/a/b/c",
                "https://example.com:8443/a/…",
            ),
            (
                "https://example.com/0123456789abcdef",
                "https://example.com/…",
            ),
            ("/0123456789abcdef/status", "/01234567…/…"),
            ("/", "/"),
            ("https://example.com", "https://example.com/"),
        ] {
            assert_eq!(Redacted(&Uri::from_static(uri)).to_string(), shown);
        }
    }
}
