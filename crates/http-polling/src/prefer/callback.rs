//! The preference `callback` of OData 4.01 (section 8.2.8).

use http::HeaderMap;

use super::{
    PREFER,
    known::remove_members,
    list::{members, name_and_value, parameter, word},
};

/// Reads the URL of the preference `callback`, and removes it from the `Prefer`
/// fields: the client asks to be called there when its job has ended (OData 4.01,
/// section 8.2.8).
///
/// Returns `None` without the preference. A URL that is missing is empty. Only
/// the first instance counts, and all are removed; other preferences are kept
/// unchanged and in order. The client chooses the URL, so the caller must check
/// it.
///
/// ```
/// use http::{HeaderMap, HeaderValue};
/// use http_polling::{PREFER, take_callback};
///
/// let mut headers = HeaderMap::new();
/// let prefer = r#"respond-async, callback; url="https://hooks.example/jobs""#;
/// headers.insert(PREFER, HeaderValue::from_static(prefer));
///
/// let url = take_callback(&mut headers);
/// assert_eq!(url.as_deref(), Some("https://hooks.example/jobs"));
/// assert_eq!(headers[PREFER], "respond-async");
/// ```
pub fn take_callback(headers: &mut HeaderMap) -> Option<String> {
    let url = headers
        .get_all(PREFER)
        .iter()
        .flat_map(|value| members(value.as_bytes()))
        .find(|member| is_callback(member))
        .map(|member| {
            let url = parameter(member, b"url").unwrap_or_default();
            let url: Vec<u8> = word(url).collect();
            String::from_utf8_lossy(&url).into_owned()
        })?;
    remove_members(headers, PREFER, is_callback);
    Some(url)
}

fn is_callback(member: &[u8]) -> bool {
    let (name, _) = name_and_value(member);
    name.eq_ignore_ascii_case(b"callback") || name.eq_ignore_ascii_case(b"odata.callback")
}
