//! The fields of a request as its server receives them, and those of its response.
//!
//! Those that concern one connection, and those that only the gateway may set, are removed first; then
//! the gateway sets its own, so that no client can name them away in `Connection`.

use http::{
    HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, Uri, Version,
    header::{CONNECTION, CONTENT_LENGTH, EXPECT, HOST, TE, TRANSFER_ENCODING, UPGRADE, VIA},
    uri::PathAndQuery,
};
use http_polling::{CANCEL_AFTER, IDEMPOTENCY_KEY, PREFER, Prefer};
use tower_async_job::{JobContext, store::Principal};

use super::{facts::Facts, forwarded::Forwarded, identity::name, target::Target};
use crate::{
    fields::remove_where,
    principal::name_of,
    text::{push_decimal, push_hexadecimal},
    upstream,
};

const JOB_ATTEMPT: HeaderName = HeaderName::from_static("job-attempt");
const JOB_HANDLE: HeaderName = HeaderName::from_static("job-handle");
const JOB_PRINCIPAL: HeaderName = HeaderName::from_static("job-principal");
const JOB_PROGRESS_URL: HeaderName = HeaderName::from_static("job-progress-url");
const JOB_RESULT_URL: HeaderName = HeaderName::from_static("job-result-url");

/// The field of a 202 that says how the server has accepted the work.
const JOB_ACCEPTED: HeaderName = HeaderName::from_static("job-accepted");

/// The URLs at which the server of a run reaches the gateway.
pub(super) struct Urls {
    pub(super) progress: String,
    /// `None` if the response is the result.
    pub(super) result: Option<String>,
}

/// The fields of the gateway's own that polls of the server's jobs have too, beside the usual ones.
pub(super) const OF_ALL_REQUESTS: [HeaderName; 3] = [JOB_HANDLE, JOB_PRINCIPAL, VIA];

/// The usual number of fields that the gateway adds.
const ADDED: usize = 12;

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// Returns whether a field concerns one connection.
fn is_hop_by_hop(name: &HeaderName) -> bool {
    matches!(
        name.as_str(),
        "connection"
            | "keep-alive"
            | "proxy-authenticate"
            | "proxy-authorization"
            | "proxy-connection"
            | "te"
            | "transfer-encoding"
            | "upgrade"
    )
}

/// Returns whether a server would believe a field that only the gateway may set. CGI and WSGI read the
/// `_` of a name as `-`.
fn is_own(name: &HeaderName) -> bool {
    let name = name.as_str();
    matches!(
        name,
        "cancel-after"
            | "http2-settings"
            | "job-attempt"
            | "job-handle"
            | "job-principal"
            | "job-progress-url"
            | "job-result-url"
            // Programs run by CGI take it as the address of their own proxy.
            | "proxy"
    ) || name.bytes().any(|byte| byte == b'_')
}

/// Returns a request as its server receives it.
pub(super) fn rewrite(
    request: Request<upstream::Body>,
    target: &Target,
    is_upgrade: bool,
    urls: Option<Urls>,
) -> Request<upstream::Body> {
    let (mut parts, body) = request.into_parts();
    let context = JobContext::from_extensions(&parts.extensions);
    let facts = parts.extensions.remove::<Facts>();
    let headers = &mut parts.headers;
    headers.reserve(ADDED);
    let accepts_trailers = accepts_trailers(headers);
    let named = connection_names(headers);
    remove_where(headers, |name| {
        is_hop_by_hop(name)
            || is_own(name)
            // Answered by the gateway, when it reads the body.
            || *name == EXPECT
            || named.contains(name)
    });
    if accepts_trailers {
        headers.insert(TE, HeaderValue::from_static("trailers"));
    }
    if is_upgrade {
        headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    }
    let handle = context.handle();
    let _ = target.handle.set(handle);
    let mut text = String::with_capacity(16);
    push_hexadecimal(&mut text, handle.to_bits().into(), 16);
    set(headers, JOB_HANDLE, text);
    headers.insert(
        JOB_ATTEMPT,
        match context.attempt() {
            1 => HeaderValue::from_static("1"),
            attempt => attempt.into(),
        },
    );
    if let Some(urls) = urls {
        set(headers, JOB_PROGRESS_URL, urls.progress);
        if let Some(url) = urls.result {
            set(headers, JOB_RESULT_URL, url);
        }
    }
    if target.replayable && !headers.contains_key(IDEMPOTENCY_KEY) {
        set(headers, IDEMPOTENCY_KEY, format!("\"{handle}\""));
    }
    if target.route.send_principal
        && let Some(principal) = parts.extensions.get::<Principal>()
    {
        set(headers, JOB_PRINCIPAL, name_of(principal).to_owned());
    }
    if let Some(facts) = facts {
        if target.follows && facts.prefers_async && !Prefer::from_headers(headers).respond_async() {
            headers.append(PREFER, HeaderValue::from_static("respond-async"));
        }
        if let Some(left) = facts.remaining() {
            // Rounded down, since the server has no more than the rest of this second.
            let mut left_text = String::with_capacity(8);
            push_decimal(&mut left_text, left.as_secs(), 1);
            left_text.push('s');
            set(headers, CANCEL_AFTER, left_text);
        }
        facts.forwarded.set(headers);
        set(headers, TRACEPARENT, facts.trace);
        // That of a target which names its server differs, and over HTTP/2 there may be none.
        if let Some(host) = facts.host
            && headers.get(HOST).is_none_or(|known| *known != host)
        {
            set(headers, HOST, host);
        }
    }
    if target.route.upstream.own_host
        && let Some(authority) = target.route.upstream.url.authority()
    {
        set(headers, HOST, authority.as_str().to_owned());
    }
    append_via(headers, parts.version);
    parts.version = Version::HTTP_11;
    parts.uri = target_of(parts.uri);
    // Its memory serves the connection's own.
    parts.extensions.clear();
    Request::from_parts(parts, body)
}

/// Returns the names of a request's fields that a later run needs. Those that concern one connection,
/// and those that only the gateway may set, are not sent on in any run; `TE` is, in a part.
pub(crate) fn lasting(headers: &HeaderMap) -> impl Iterator<Item = &HeaderName> {
    let named = connection_names(headers);
    headers.keys().filter(move |name| {
        let is_passing = is_hop_by_hop(name) && **name != TE || named.contains(name);
        !is_passing && !is_own(name)
    })
}

/// Removes the fields that concern one connection, with those that `Connection` names.
pub(super) fn remove_hop_by_hop(headers: &mut HeaderMap) {
    let named = connection_names(headers);
    remove_where(headers, |name| is_hop_by_hop(name) || named.contains(name));
}

/// Returns trailers without those that a server could take for the gateway's.
pub(super) fn without_own(mut trailers: HeaderMap, principals: &[HeaderName]) -> HeaderMap {
    remove_where(&mut trailers, |name| {
        is_own(name) || principals.contains(name)
    });
    Forwarded::remove(&mut trailers);
    trailers
}

/// Returns the names in `Connection`.
fn connection_names(headers: &HeaderMap) -> Vec<HeaderName> {
    let names = tokens(headers, CONNECTION);
    names.filter_map(|name| name.parse().ok()).collect()
}

/// Returns the members of a field that is a list of tokens.
pub(crate) fn tokens(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = &str> {
    let values = headers.get_all(name).into_iter();
    let values = values.filter_map(|value| value.to_str().ok());
    let members = values.flat_map(|value| value.split(','));
    members.map(str::trim).filter(|member| !member.is_empty())
}

fn accepts_trailers(headers: &HeaderMap) -> bool {
    tokens(headers, TE).any(|coding| coding.eq_ignore_ascii_case("trailers"))
}

/// Returns whether a request has been sent by this gateway before.
pub(crate) fn is_loop(headers: &HeaderMap) -> bool {
    let mut hops = tokens(headers, VIA);
    hops.any(|hop| hop.split_whitespace().nth(1) == Some(name()))
}

/// Returns whether a message has no transfer coding but chunked. Others would be lost with the field,
/// which concerns one connection only (RFC 9112, section 6.1).
pub(crate) fn has_known_coding(headers: &HeaderMap) -> bool {
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    let coding = codings.next();
    coding.is_none_or(|coding| coding.as_bytes().eq_ignore_ascii_case(b"chunked"))
        && codings.next().is_none()
}

/// Removes the fields of a response that concern the connection to the server. A length beside chunks
/// is not that of the body (RFC 9112, section 6.3). Returns whether the server says that it has accepted
/// the work, and that the result comes later.
pub(super) fn rewrite_response<B>(response: &mut Response<B>) -> bool {
    let is_later = is_later(response);
    let headers = response.headers_mut();
    if headers.contains_key(TRANSFER_ENCODING) {
        headers.remove(CONTENT_LENGTH);
    }
    remove_hop_by_hop(headers);
    headers.remove(JOB_ACCEPTED);
    is_later
}

/// Returns whether a server says that it has accepted the work, and that the result comes later.
fn is_later<B>(response: &Response<B>) -> bool {
    let accepted = response.headers().get(JOB_ACCEPTED);
    let is_later = accepted.is_some_and(|how| how.as_bytes().eq_ignore_ascii_case(b"result-later"));
    is_later && response.status() == StatusCode::ACCEPTED
}

/// Removes all but that from a response whose result comes later: what else it names is no job to be
/// polled.
pub(super) fn forget_job<B>(response: &mut Response<B>) {
    if is_later(response) {
        remove_where(response.headers_mut(), |name| *name != JOB_ACCEPTED);
    }
}

fn append_via(headers: &mut HeaderMap, version: Version) {
    let hop = match version {
        Version::HTTP_10 => "1.0 ",
        Version::HTTP_2 => "2 ",
        _ => "1.1 ",
    };
    let name = name();
    let mut value = String::with_capacity(hop.len() + name.len());
    value.push_str(hop);
    value.push_str(name);
    if let Ok(value) = HeaderValue::try_from(value) {
        headers.append(VIA, value);
    }
}

fn set(headers: &mut HeaderMap, name: HeaderName, value: String) {
    if let Ok(value) = HeaderValue::try_from(value) {
        headers.insert(name, value);
    }
}

/// Returns the target without a scheme and an authority.
fn target_of(uri: Uri) -> Uri {
    let target = uri.into_parts().path_and_query;
    Uri::from(target.unwrap_or_else(|| PathAndQuery::from_static("/")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trailers_name_no_principal() {
        let mut trailers = HeaderMap::new();
        for name in ["x-user", "job-principal", "forwarded", "x-checksum"] {
            trailers.insert(name, HeaderValue::from_static("ada"));
        }
        let principals = [HeaderName::from_static("x-user")];
        let passed = without_own(trailers, &principals);
        let names: Vec<_> = passed.keys().map(HeaderName::as_str).collect();
        assert_eq!(names, ["x-checksum"]);
    }
}
