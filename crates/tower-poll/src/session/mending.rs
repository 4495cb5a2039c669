//! Repair of unusable locations.

use std::borrow::Cow;

use http::{
    HeaderMap, Uri,
    header::{CONTENT_LOCATION, LOCATION},
};
use http_polling::resolve;

use crate::dialect::{AZURE_ASYNC_OPERATION, OPERATION_LOCATION};

/// Returns the URL that the sender of these headers probably meant for its
/// job, if one of them can be repaired. It is for people to read: no request
/// is sent there.
///
/// Invalid characters are percent-encoded, and a user name is left out. The
/// first of several values counts.
pub(super) fn mended(asked: &Uri, headers: &HeaderMap) -> Option<Uri> {
    [
        AZURE_ASYNC_OPERATION,
        OPERATION_LOCATION,
        LOCATION,
        CONTENT_LOCATION,
    ]
    .iter()
    .filter_map(|name| headers.get(name))
    .find_map(|reference| {
        let text = escaped(reference.as_bytes());
        resolve(asked, &*without_user(&text)).ok()
    })
}

/// Percent-encodes control characters, `%` without two hexadecimal digits, and
/// non-ASCII bytes of a reference that is not UTF-8.
fn escaped(reference: &[u8]) -> String {
    let is_utf8 = std::str::from_utf8(reference).is_ok();
    let mut text = Vec::with_capacity(reference.len());
    for (at, byte) in reference.iter().enumerate() {
        let is_stray = *byte == b'%'
            && !reference
                .get(at + 1..at + 3)
                .is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit));
        if is_stray || byte.is_ascii_control() || !(is_utf8 || byte.is_ascii()) {
            text.extend_from_slice(format!("%{byte:02X}").as_bytes());
        } else {
            text.push(*byte);
        }
    }
    String::from_utf8_lossy(&text).into_owned()
}

fn without_user(text: &str) -> Cow<'_, str> {
    let Some((scheme, rest)) = text.split_once("://") else {
        return text.into();
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    match rest[..end].rfind('@') {
        None => text.into(),
        Some(at) => format!("{scheme}://{}", &rest[at + 1..]).into(),
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn what_a_sender_may_have_meant_is_guessed_or_not() {
        let asked = Uri::from_static("https://example.com/report");
        for (location, meant) in [
            (&b"/jobs/100%"[..], Some("https://example.com/jobs/100%25")),
            (
                b"/jobs/%zz?a=%41",
                Some("https://example.com/jobs/%25zz?a=%41"),
            ),
            (b"/jobs/\t1", Some("https://example.com/jobs/%091")),
            (b"/jobs/\xff", Some("https://example.com/jobs/%FF")),
            (
                b"https://me:pw@example.com/1",
                Some("https://example.com/1"),
            ),
            (b"file:///etc/passwd", None),
            (b"https:///work", None),
            (b"", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(LOCATION, HeaderValue::from_bytes(location).unwrap());
            let found = mended(&asked, &headers).map(|url| url.to_string());
            assert_eq!(found.as_deref(), meant);
        }
    }
}
