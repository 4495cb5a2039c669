//! The names of the headers that polls carry too.

use http::{
    HeaderName,
    header::{
        ACCEPT, ACCEPT_ENCODING, ACCEPT_LANGUAGE, AUTHORIZATION, COOKIE, HOST, PROXY_AUTHORIZATION,
        TE, USER_AGENT,
    },
};

/// The names that are kept by default.
pub(super) static DEFAULT: [HeaderName; 18] = [
    TE,
    HOST,
    ACCEPT,
    COOKIE,
    HeaderName::from_static("baggage"),
    USER_AGENT,
    HeaderName::from_static("tracestate"),
    HeaderName::from_static("traceparent"),
    HeaderName::from_static("grpc-timeout"),
    AUTHORIZATION,
    ACCEPT_ENCODING,
    ACCEPT_LANGUAGE,
    // API keys follow.
    HeaderName::from_static("api-key"),
    HeaderName::from_static("x-api-key"),
    HeaderName::from_static("x-auth-token"),
    HeaderName::from_static("x-goog-api-key"),
    HeaderName::from_static("x-functions-key"),
    HeaderName::from_static("ocp-apim-subscription-key"),
];

const API_KEYS_AT: u16 = 12;

pub(super) const TE_AT: u16 = 0;

pub(super) const ACCEPT_AT: u16 = 2;

pub(super) const COOKIE_AT: u16 = 3;

pub(super) const AUTHORIZATION_AT: u16 = 9;

/// Kept, but not for polls: it is the deadline of the call.
pub(super) const GRPC_TIMEOUT_AT: u16 = 8;

/// The first index of the user's own names.
const OWN: u16 = 0x100;

/// The index of a name that is on no list, and is kept with the value.
pub(super) const NAMED: u16 = u16::MAX;

/// Returns the index of `name` in [`DEFAULT`].
///
/// Called for every header of every submission. Since the length decides
/// first, a name is compared to texts of its own length only, and inline.
#[inline]
pub(super) fn kept_by_default(name: &str) -> Option<u16> {
    match name.len() {
        2 if name == "te" => Some(TE_AT),
        4 if name == "host" => Some(1),
        6 if name == "accept" => Some(ACCEPT_AT),
        6 if name == "cookie" => Some(COOKIE_AT),
        7 if name == "baggage" => Some(4),
        7 if name == "api-key" => Some(API_KEYS_AT),
        9 if name == "x-api-key" => Some(13),
        10 if name == "user-agent" => Some(5),
        10 if name == "tracestate" => Some(6),
        11 if name == "traceparent" => Some(7),
        12 if name == "grpc-timeout" => Some(GRPC_TIMEOUT_AT),
        12 if name == "x-auth-token" => Some(14),
        13 if name == "authorization" => Some(AUTHORIZATION_AT),
        14 if name == "x-goog-api-key" => Some(15),
        15 if name == "accept-encoding" => Some(10),
        15 if name == "accept-language" => Some(11),
        15 if name == "x-functions-key" => Some(16),
        25 if name == "ocp-apim-subscription-key" => Some(17),
        _ => None,
    }
}

/// Returns whether a user may keep `name`. Headers of the submission's own
/// body, its connection or its single execution mean something else, or
/// something harmful, on a poll.
pub(crate) fn may_be_kept(name: &HeaderName) -> bool {
    let name = name.as_str();
    !name.starts_with("content-")
        && !matches!(
            name,
            "connection"
                | "expect"
                | "grpc-timeout"
                | "idempotency-key"
                | "keep-alive"
                | "prefer"
                | "proxy-connection"
                | "trailer"
                | "transfer-encoding"
                | "upgrade"
        )
}

/// Returns whether a header of this name concerns one message alone: it
/// describes, signs or qualifies it, makes it conditional, or is for its
/// connection, and so is wrong on the polls that follow.
///
/// Values of other names go with polls to the submission's origin if they are
/// marked [sensitive](http::HeaderValue::set_sensitive), or named by
/// [`PollLayer::keep_header`](crate::PollLayer::keep_header).
///
/// ```
/// use http::{HeaderName, header::{AUTHORIZATION, CONTENT_TYPE}};
/// use tower_poll::is_of_one_message;
///
/// assert!(is_of_one_message(&CONTENT_TYPE));
/// assert!(is_of_one_message(&HeaderName::from_static("signature-input")));
/// assert!(!is_of_one_message(&AUTHORIZATION));
/// ```
#[must_use]
pub fn is_of_one_message(name: &HeaderName) -> bool {
    let text = name.as_str();
    !may_be_kept(name)
        || ["if-", "proxy-", "signature", "x-amz-"]
            .iter()
            .any(|prefix| text.starts_with(prefix))
        || matches!(
            text,
            "digest"
                | "dpop"
                | "range"
                | "repr-digest"
                | "x-http-method"
                | "x-http-method-override"
                | "x-method-override"
        )
}

/// Returns whether a header of this index and name is for the submission's
/// origin alone, whatever its value.
pub(super) fn is_credential(index: u16, name: &HeaderName) -> bool {
    (API_KEYS_AT..OWN).contains(&index)
        || [AUTHORIZATION, PROXY_AUTHORIZATION, COOKIE, HOST].contains(name)
}

/// The index of `name`, if it is on the list or among the user's `own`.
#[inline]
pub(super) fn index_of(name: &HeaderName, own: &[HeaderName]) -> Option<u16> {
    match kept_by_default(name.as_str()) {
        None if own.is_empty() => None,
        None => index_of_own(name, own),
        index => index,
    }
}

// Separate, so that the usual loop over headers stays in registers.
#[inline(never)]
fn index_of_own(name: &HeaderName, own: &[HeaderName]) -> Option<u16> {
    let at = own.iter().position(|kept| kept == name)?;
    let index = u16::try_from(at).ok()?.checked_add(OWN)?;
    (index != NAMED).then_some(index)
}

/// The name of an index from [`index_of`].
pub(super) fn name_of(index: u16, own: &[HeaderName]) -> &HeaderName {
    match index.checked_sub(OWN) {
        Some(at) => &own[usize::from(at)],
        None => &DEFAULT[usize::from(index)],
    }
}
