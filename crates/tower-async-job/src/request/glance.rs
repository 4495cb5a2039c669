use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{CONNECTION, UPGRADE},
};

use crate::request::closing;

/// The presence of the headers that matter to the layer. One pass over the names is cheaper than a
/// lookup for each, and most requests have none.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Glance {
    pub(crate) cancel_after: bool,
    /// The request has a precondition or a range.
    pub(crate) conditional: bool,
    /// The client accepts an event stream.
    pub(crate) event_stream: bool,
    /// The Content-Type begins like that of gRPC.
    pub(crate) grpc: bool,
    pub(crate) grpc_timeout: bool,
    pub(crate) idempotency_key: bool,
    pub(crate) prefer: bool,
    /// A proxy has added its headers.
    pub(crate) proxied: bool,
    pub(crate) te: bool,
    pub(crate) upgrade: bool,
}

impl Glance {
    pub(crate) fn at(headers: &HeaderMap) -> Self {
        let mut glance = Self::default();
        for (name, value) in headers {
            match name.as_str() {
                "accept" => glance.event_stream |= accepts_event_stream(value),
                "cancel-after" => glance.cancel_after = true,
                "content-type" => glance.grpc |= begins_with(value.as_bytes(), GRPC).is_some(),
                "grpc-timeout" => glance.grpc_timeout = true,
                "idempotency-key" => glance.idempotency_key = true,
                "prefer" => glance.prefer = true,
                "if-match"
                | "if-modified-since"
                | "if-none-match"
                | "if-unmodified-since"
                | "range" => glance.conditional = true,
                "te" => glance.te = true,
                "upgrade" => glance.upgrade = true,
                name => glance.proxied |= closing::is_of_proxy(name),
            }
        }
        glance
    }

    /// Returns whether a request that is not deferred may still have a key or a deadline.
    pub(crate) fn is_governed(self) -> bool {
        self.idempotency_key | self.cancel_after | self.grpc_timeout
    }
}

const EVENT_STREAM: &[u8] = b"text/event-stream";
const GRPC: &[u8] = b"application/grpc";

/// Returns the rest of a value that begins with a name, ignoring case.
#[inline]
fn begins_with<'a>(value: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let (begin, rest) = value.split_at_checked(name.len())?;
    begin.eq_ignore_ascii_case(name).then_some(rest)
}

/// Returns whether a media type, with or without parameters, is `text/event-stream`.
pub(crate) fn is_event_stream(value: &[u8]) -> bool {
    begins_with(value.trim_ascii_start(), EVENT_STREAM).is_some_and(|parameters| {
        matches!(parameters.trim_ascii_start().first(), None | Some(b';'))
    })
}

/// Returns whether an Accept names event streams with a weight above zero (RFC 9110, section
/// 12.5.1).
#[inline]
fn accepts_event_stream(value: &HeaderValue) -> bool {
    let value = value.as_bytes();
    // Most are shorter.
    value.len() >= EVENT_STREAM.len()
        && value
            .split(|byte| *byte == b',')
            .any(|range| is_event_stream(range) && !is_refused(range))
}

/// Returns whether a media range has a weight of zero.
fn is_refused(range: &[u8]) -> bool {
    let is_zero = |parameter: &[u8]| {
        begins_with(parameter, b"q=").is_some_and(|weight| {
            !weight.is_empty() && weight.iter().all(|byte| matches!(byte, b'0' | b'.'))
        })
    };
    let mut parameters = range.split(|byte| *byte == b';').skip(1);
    parameters.any(|parameter| is_zero(parameter.trim_ascii()))
}

/// Returns whether a request asks to change its connection's protocol (RFC 9110, section 7.8),
/// which `Connection` must confirm. An `Upgrade` to HTTP/2 does not count: the request is answered
/// as usual.
pub(crate) fn is_upgrade(headers: &HeaderMap) -> bool {
    names(headers, CONNECTION, |option| {
        option.eq_ignore_ascii_case(b"upgrade")
    }) && names(headers, UPGRADE, |protocol| {
        !protocol.is_empty() && !protocol.eq_ignore_ascii_case(b"h2c")
    })
}

/// Returns whether a list header has a member that matches.
fn names(headers: &HeaderMap, name: HeaderName, mut is: impl FnMut(&[u8]) -> bool) -> bool {
    let values = headers.get_all(name);
    values.iter().any(|value| {
        value
            .as_bytes()
            .split(|byte| *byte == b',')
            .any(|member| is(member.trim_ascii()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepted(value: &'static str) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert("accept", HeaderValue::from_static(value));
        Glance::at(&headers).event_stream
    }

    #[test]
    fn s78_event_streams_are_accepted_by_name() {
        for value in [
            "text/event-stream",
            "TEXT/Event-Stream; charset=utf-8",
            "application/json, text/event-stream;q=0.5",
            "text/event-stream ; q=1",
        ] {
            assert!(accepted(value), "{value}");
        }
        for value in [
            "*/*",
            "text/*, application/json;q=0.9",
            "text/event-streams",
            "text/event-stream;q=0, application/json",
            "text/event-stream; Q=0.000",
            "application/json;profile=text/event-stream",
        ] {
            assert!(!accepted(value), "{value}");
        }
    }

    #[test]
    fn s66_upgrades_count_with_connection_and_another_protocol_than_h2c() {
        let is = |connection: &'static str, upgrade: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(CONNECTION, HeaderValue::from_static(connection));
            headers.insert(UPGRADE, HeaderValue::from_static(upgrade));
            is_upgrade(&headers)
        };
        assert!(is("Upgrade", "websocket"));
        assert!(is("keep-alive, upgrade", "h2c, websocket"));
        assert!(!is("Upgrade, HTTP2-Settings", "h2c"));
        assert!(!is("upgrade", "H2C"));
        assert!(!is("upgrade", ""));
        assert!(!is("keep-alive", "websocket"));
    }
}
