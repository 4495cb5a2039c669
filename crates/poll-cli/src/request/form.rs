//! `-F`: multipart forms (RFC 7578).

use std::{
    collections::hash_map::RandomState,
    hash::{BuildHasher, Hasher},
    path::Path,
    str::FromStr,
};

use bytes::Bytes;

use super::body::{Part, whole};
use crate::exit::Failure;

/// A value of `-F`: `name=text`, `name=@file` to upload a file, or `name=<file`
/// for the text of a file, each with optional `;type=` and `;filename=`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Field {
    name: String,
    content: Part,
    file_name: Option<String>,
    media_type: Option<String>,
}

impl FromStr for Field {
    type Err = String;

    fn from_str(field: &str) -> Result<Self, String> {
        let Some((name, rest)) = field.split_once('=') else {
            return Err("must be `name=content`".to_owned());
        };
        let (sign, rest) = match rest.as_bytes().first() {
            Some(b'@') => (Some('@'), &rest[1..]),
            Some(b'<') => (Some('<'), &rest[1..]),
            _ => (None, rest),
        };
        let (word, mut rest) = word(rest);
        let mut field = Self {
            name: name.to_owned(),
            content: match sign {
                None => Part::text(word.as_str()),
                Some(_) => Part::file(&word)?,
            },
            file_name: None,
            media_type: None,
        };
        if sign == Some('@') {
            let base = Path::new(&word).file_name().unwrap_or_default();
            field.file_name = Some(base.to_string_lossy().into_owned());
            field.media_type = Some(media_type(&word).to_owned());
        }
        while let Some((parameter, after)) = parameter(rest) {
            let (value, after) = self::word(after);
            if value.contains(['\r', '\n']) {
                return Err(format!("`{parameter}` must be of one line"));
            }
            match parameter {
                "type=" => field.media_type = Some(value),
                _ => field.file_name = Some(value),
            }
            rest = after;
        }
        Ok(field)
    }
}

impl Field {
    /// Parses a value of `--form-string`, in which no character is special.
    pub(crate) fn literal(field: &str) -> Result<Self, String> {
        let Some((name, text)) = field.split_once('=') else {
            return Err("must be `name=text`".to_owned());
        };
        Ok(Self {
            name: name.to_owned(),
            content: Part::text(text),
            file_name: None,
            media_type: None,
        })
    }

    pub(crate) fn content(&self) -> &Part {
        &self.content
    }

    fn head(&self, boundary: &str) -> String {
        let mut head = format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"{}\"",
            escaped(&self.name)
        );
        if let Some(name) = &self.file_name {
            head += &format!("; filename=\"{}\"", escaped(name));
        }
        if let Some(media_type) = &self.media_type {
            head += &format!("\r\nContent-Type: {media_type}");
        }
        head + "\r\n\r\n"
    }
}

/// Returns the body of a form and its type. The boundary is random.
pub(crate) fn form(fields: &[Field]) -> (Vec<Part>, String) {
    let random = || RandomState::new().build_hasher().finish();
    between(&format!("poll-{:016x}{:016x}", random(), random()), fields)
}

/// Returns the body of a form and its type, with a boundary that depends on the
/// fields only.
///
/// The same command thus makes the same body, so that a server recognises a
/// repeated request by its `Idempotency-Key`.
///
/// # Errors
///
/// Fails if a file cannot be read or is longer than 64 MiB.
pub(crate) async fn repeatable_form(fields: &[Field]) -> Result<(Vec<Part>, String), Failure> {
    let mut read = Vec::with_capacity(fields.len());
    let mut contents: Vec<Bytes> = Vec::with_capacity(fields.len());
    for field in fields {
        let content = whole(std::slice::from_ref(&field.content)).await?;
        contents.push(content.clone());
        read.push(Field {
            content: Part::Text(content),
            ..field.clone()
        });
    }
    let is_free = |boundary: &String| {
        let holds = |content: &Bytes| {
            let mut windows = content.windows(boundary.len());
            windows.any(|window| window == boundary.as_bytes())
        };
        !contents.iter().any(holds)
    };
    let boundary = (0_u64..)
        .map(|number| format!("poll-form-boundary-{number:016x}"))
        .find(is_free)
        .unwrap_or_default();
    Ok(between(&boundary, &read))
}

fn between(boundary: &str, fields: &[Field]) -> (Vec<Part>, String) {
    let mut parts = Vec::with_capacity(3 * fields.len() + 1);
    for field in fields {
        parts.push(Part::text(field.head(boundary)));
        parts.push(field.content.clone());
        parts.push(Part::text("\r\n"));
    }
    parts.push(Part::text(format!("--{boundary}--\r\n")));
    (parts, format!("multipart/form-data; boundary={boundary}"))
}

/// Splits the parameter at the beginning of `text`, `type=` or `filename=`, from
/// the rest.
fn parameter(text: &str) -> Option<(&'static str, &str)> {
    let text = text.strip_prefix(';')?.trim_start();
    ["type=", "filename="]
        .into_iter()
        .find_map(|name| Some((name, text.strip_prefix(name)?)))
}

/// Splits the first word of `text`, which ends before a parameter, from the
/// rest.
///
/// The word may be quoted. A backslash then escapes quotes and backslashes.
fn word(text: &str) -> (String, &str) {
    if let Some(quoted) = text.strip_prefix('"') {
        let mut word = String::new();
        let mut characters = quoted.char_indices();
        while let Some((at, c)) = characters.next() {
            match c {
                '"' if quoted[at + 1..].is_empty() || parameter(&quoted[at + 1..]).is_some() => {
                    return (word, &quoted[at + 1..]);
                }
                '\\' => word.extend(characters.next().map(|(_, c)| c)),
                c => word.push(c),
            }
        }
    }
    let ends = text.match_indices(';').map(|(at, _)| at);
    let end = ends
        .into_iter()
        .find(|at| parameter(&text[*at..]).is_some())
        .unwrap_or(text.len());
    (text[..end].to_owned(), &text[end..])
}

/// Escapes a name between quotes in the way of browsers.
fn escaped(name: &str) -> String {
    name.replace('"', "%22")
        .replace('\r', "%0D")
        .replace('\n', "%0A")
}

/// Guesses the type of a file from its name, like curl.
fn media_type(file: &str) -> &'static str {
    let extension = Path::new(file).extension().unwrap_or_default();
    match &*extension.to_string_lossy().to_ascii_lowercase() {
        "gif" => "image/gif",
        "jpg" | "jpeg" => "image/jpeg",
        "png" => "image/png",
        "svg" => "image/svg+xml",
        "txt" => "text/plain",
        "htm" | "html" => "text/html",
        "pdf" => "application/pdf",
        "xml" => "application/xml",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests;
