//! `--url-query` and `-G`.

use std::str::FromStr;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};

use super::{
    body::{Part, whole},
    target::Target,
};
use crate::exit::{Code, Failure};

/// The characters that are encoded: all except the unreserved ones of RFC 3986,
/// as for curl.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// A value of `--url-query`: `text`, `=text`, `name=text`, `@file` or
/// `name@file`, whose text is encoded, or `+text`, which is sent unchanged.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Parameter {
    Encoded { name: String, content: Part },
    AsItIs(String),
}

impl FromStr for Parameter {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(text) = text.strip_prefix('+') {
            return Ok(Self::AsItIs(text.to_owned()));
        }
        let (name, content) = match text.find(['=', '@']) {
            None => ("", Part::text(text)),
            Some(at) if text.as_bytes()[at] == b'=' => (&text[..at], Part::text(&text[at + 1..])),
            Some(at) => (&text[..at], Part::file(&text[at + 1..])?),
        };
        Ok(Self::Encoded {
            name: name.to_owned(),
            content,
        })
    }
}

impl Parameter {
    pub(crate) fn content(&self) -> Option<&Part> {
        match self {
            Self::Encoded { content, .. } => Some(content),
            Self::AsItIs(_) => None,
        }
    }

    async fn text(&self) -> Result<String, Failure> {
        let (name, content) = match self {
            Self::AsItIs(text) => return Ok(text.clone()),
            Self::Encoded { name, content } => (name, content),
        };
        let content = whole(std::slice::from_ref(content)).await?;
        let content = percent_encode(&content, ENCODED);
        Ok(match &**name {
            "" => content.to_string(),
            name => format!("{name}={content}"),
        })
    }
}

/// Adds the parameters and, for `-G`, `data` to the query of `target`.
///
/// # Errors
///
/// Fails if a file cannot be read, or if the result is not a URL.
pub(crate) async fn with_query(
    target: &Target,
    parameters: &[Parameter],
    data: &[Part],
) -> Result<Target, Failure> {
    let mut pieces = Vec::with_capacity(parameters.len() + data.len());
    for part in data {
        let bytes = whole(std::slice::from_ref(part)).await?;
        let Ok(text) = std::str::from_utf8(&bytes) else {
            let text = "data for the query is not UTF-8 text";
            return Err(Failure::new(Code::Usage, text));
        };
        pieces.push(text.trim_end_matches(['\r', '\n']).replace('#', "%23"));
    }
    for parameter in parameters {
        pieces.push(parameter.text().await?);
    }
    if pieces.is_empty() {
        return Ok(target.clone());
    }
    target
        .with_query(&pieces.join("&"))
        .map_err(|error| Failure::new(Code::Usage, format!("the query makes no URL: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn query(url: &str, parameters: &[&str], data: &[&str]) -> String {
        let target: Target = url.parse().unwrap();
        let parameters: Vec<Parameter> = parameters.iter().map(|p| p.parse().unwrap()).collect();
        let data: Vec<Part> = data.iter().map(|d| d.parse().unwrap()).collect();
        let target = with_query(&target, &parameters, &data).await.unwrap();
        target.uri.to_string()
    }

    #[tokio::test]
    async fn parameters_are_encoded_and_added() {
        for (url, parameters, data, expected) in [
            ("a.example", &["x=1 2&3"][..], &[][..], "/?x=1%202%263"),
            (
                "a.example/b?c=d",
                &["=e=", "+f=%20"],
                &[],
                "/b?c=d&e%3D&f=%20",
            ),
            ("a.example/?", &["ä"], &[], "/?%C3%A4"),
            (
                "a.example#g",
                &["x=1"],
                &["y=2", "z=3 4"],
                "/?y=2&z=3%204&x=1",
            ),
            ("a.example/b", &[], &[], "/b"),
        ] {
            let expected = format!("http://a.example{expected}");
            assert_eq!(query(url, parameters, data).await, expected);
        }
    }
}
