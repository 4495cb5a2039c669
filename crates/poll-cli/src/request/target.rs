//! The URL argument.

use std::{fmt, str::FromStr};

use http::Uri;
use http_polling::resolve;
use percent_encoding::percent_decode_str;

/// The URL of a submission, and the user in it.
#[derive(Clone, PartialEq)]
pub(crate) struct Target {
    pub(crate) uri: Uri,
    /// `user:password` in the URL, decoded.
    pub(crate) user: Option<String>,
}

impl FromStr for Target {
    type Err = String;

    /// Parses a URL, whose default scheme is http, as for curl.
    fn from_str(url: &str) -> Result<Self, String> {
        let (scheme, rest) = match url.split_once("://") {
            Some((scheme, rest)) if !scheme.contains(['/', '?', '#', '@', ':']) => (scheme, rest),
            _ => ("http", url),
        };
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        let (user, host) = match authority.rsplit_once('@') {
            Some((user, host)) => (Some(user), host),
            None => (None, authority),
        };
        let base = Uri::from_static("http://base.invalid/");
        let uri = resolve(&base, format!("{scheme}://{host}{path}"))
            .map_err(|error| error.to_string())?;
        let user = user
            .filter(|user| !user.is_empty())
            .map(|user| percent_decode_str(user).decode_utf8_lossy().into_owned());
        Ok(Self { uri, user })
    }
}

impl Target {
    /// Appends `query` to the query of this target, without encoding it.
    ///
    /// # Errors
    ///
    /// Fails if the result is not a URL, or is too long.
    pub(crate) fn with_query(&self, query: &str) -> Result<Self, String> {
        let separator = match self.uri.query() {
            None => "?",
            Some("") => "",
            Some(_) => "&",
        };
        let uri = resolve(&self.uri, format!("{}{separator}{query}", self.uri))
            .map_err(|error| error.to_string())?;
        Ok(Self {
            uri,
            user: self.user.clone(),
        })
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Target")
            .field("uri", &self.uri)
            .finish_non_exhaustive()
    }
}
