//! `Idempotency-Key`: makes a request safe to repeat (draft-ietf-httpapi-idempotency-key-header).

use std::convert::Infallible;

use http::{HeaderMap, HeaderName};
use sfv::{BareItemFromInput, Parser, visitor::Ignored};

/// `Idempotency-Key`, the header field by which a server recognises a repeated request.
///
/// ```
/// assert_eq!(http_polling::IDEMPOTENCY_KEY, "idempotency-key");
/// ```
pub const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// Reads the key of a request from its [`IDEMPOTENCY_KEY`] field.
///
/// The key is a structured-field string (RFC 9651, section 3.3.3), whose parameters are ignored. A
/// key without quotes is accepted too, if it consists of visible ASCII characters other than `"`,
/// `,`, `;` and `\`.
///
/// Returns `None` if the field is absent, occurs more than once, has neither form, or holds an empty key. The length of
/// the key is not limited.
///
/// ```
/// use http::{HeaderMap, HeaderValue};
/// use http_polling::{IDEMPOTENCY_KEY, idempotency_key};
///
/// let mut headers = HeaderMap::new();
/// assert_eq!(idempotency_key(&headers), None);
/// headers.insert(IDEMPOTENCY_KEY, HeaderValue::from_static("\"8e03 978e\""));
/// assert_eq!(idempotency_key(&headers).as_deref(), Some("8e03 978e"));
/// headers.insert(IDEMPOTENCY_KEY, HeaderValue::from_static("8e03-978e"));
/// assert_eq!(idempotency_key(&headers).as_deref(), Some("8e03-978e"));
/// ```
#[must_use]
pub fn idempotency_key(headers: &HeaderMap) -> Option<String> {
    let mut values = headers.get_all(IDEMPOTENCY_KEY).iter();
    let value = values.next()?.to_str().ok()?.trim();
    if values.next().is_some() {
        return None;
    }
    if value.starts_with('"') {
        return quoted(value);
    }
    let is_bare = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b',' | b';' | b'\\');
    (!value.is_empty() && value.bytes().all(is_bare)).then(|| value.to_owned())
}

fn quoted(value: &str) -> Option<String> {
    let mut key = None;
    let visitor = |item: BareItemFromInput<'_>| {
        if let BareItemFromInput::String(text) = item {
            key = Some(text.into_owned().into());
        }
        Ok::<_, Infallible>(Ignored)
    };
    Parser::new(value).parse_item_with_visitor(visitor).ok()?;
    key.filter(|key: &String| !key.is_empty())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn key_of(values: &[&str]) -> Option<String> {
        let mut headers = HeaderMap::new();
        for value in values {
            let value = HeaderValue::from_bytes(value.as_bytes()).expect("a header value");
            headers.append(IDEMPOTENCY_KEY, value);
        }
        idempotency_key(&headers)
    }

    #[test]
    fn quoted_and_bare_keys_are_read() {
        for (value, key) in [
            ("k", "k"),
            (" k-1_2~3 ", "k-1_2~3"),
            (r#""a b""#, "a b"),
            (r#""a\"b\\c""#, r#"a"b\c"#),
            (r#""k";a=1; b"#, "k"),
        ] {
            assert_eq!(key_of(&[value]).as_deref(), Some(key), "{value:?}");
        }
    }

    #[test]
    fn absent_repeated_and_malformed_keys_are_none() {
        for values in [&[][..], &["a", "a"], &["\"a\"", "\"b\""]] {
            assert_eq!(key_of(values), None, "{values:?}");
        }
        for value in [
            "", r#""""#, "a b", "a,b", "a;b", r"a\b", "\"", "\"a", "\"a\"b", "\"a\";%", "\"ä\"",
            "ä",
        ] {
            assert_eq!(key_of(&[value]), None, "{value:?}");
        }
    }
}
