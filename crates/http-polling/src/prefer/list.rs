//! The list syntax of RFC 7240, section 2, on raw bytes. These functions do not
//! fail: a malformed member is a member without a known name.

/// Splits a field value into its members, without surrounding white space.
/// Empty members are skipped.
pub(super) fn members(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(value);
    std::iter::from_fn(move || {
        let (member, tail) = split_unquoted(rest?, b',');
        rest = tail;
        Some(member.trim_ascii())
    })
    .filter(|member| !member.is_empty())
}

/// Splits a preference into its name and its value, without its parameters. A
/// missing value is the same as an empty one (RFC 7240, section 2).
pub(super) fn name_and_value(member: &[u8]) -> (&[u8], &[u8]) {
    let (preference, _parameters) = split_unquoted(member, b';');
    let (name, value) = split_unquoted(preference, b'=');
    (name.trim_ascii(), value.unwrap_or_default().trim_ascii())
}

/// Returns the value of the first parameter of a preference with this name.
pub(super) fn parameter<'a>(member: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let mut rest = split_unquoted(member, b';').1;
    while let Some(parameters) = rest {
        let (parameter, tail) = split_unquoted(parameters, b';');
        let (found, value) = split_unquoted(parameter, b'=');
        if found.trim_ascii().eq_ignore_ascii_case(name) {
            return Some(value.unwrap_or_default().trim_ascii());
        }
        rest = tail;
    }
    None
}

/// The bytes of a token, or of a quoted string without its quotes and escapes.
pub(super) fn word(value: &[u8]) -> impl Iterator<Item = u8> {
    let inner = value
        .strip_prefix(b"\"")
        .and_then(|value| value.strip_suffix(b"\""));
    let mut bytes = inner.unwrap_or(value).iter().copied();
    let quoted = inner.is_some();
    std::iter::from_fn(move || match bytes.next()? {
        b'\\' if quoted => bytes.next(),
        byte => Some(byte),
    })
}

/// Splits at the first `separator` outside a quoted string.
fn split_unquoted(text: &[u8], separator: u8) -> (&[u8], Option<&[u8]>) {
    let mut quoted = false;
    let mut escaped = false;
    for (index, &byte) in text.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            _ if byte == separator && !quoted => return (&text[..index], Some(&text[index + 1..])),
            _ => {}
        }
    }
    (text, None)
}
