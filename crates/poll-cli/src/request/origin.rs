//! The value of `--cross-origin` and `--trust-origin`.

use std::str::FromStr;

use http::Uri;

use super::target::Target;

/// A value of `--cross-origin` and `--trust-origin`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Origin {
    /// Every one whose host is not private.
    Any,
    One(Uri),
}

impl FromStr for Origin {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "*" {
            return Ok(Self::Any);
        }
        if !text.contains("://") {
            return Err("must be an origin, such as https://jobs.example.com".to_owned());
        }
        let target: Target = text.parse()?;
        Ok(Self::One(target.uri))
    }
}
