//! Origins (RFC 6454).

use std::net::Ipv6Addr;

use http::{Uri, uri::Authority};

/// Returns whether two URIs have the same origin: the same scheme, host and
/// port (RFC 6454, section 5).
///
/// Credentials for `a` may be sent to `b` if this returns `true`. Hosts are
/// compared by [`is_same_host`]. A missing port is the scheme's default port.
/// Two URIs without scheme and authority, as gRPC clients use them, address the
/// same peer and have the same origin. A URI with an authority and one without
/// have different origins.
///
/// ```
/// use http::Uri;
/// use http_polling::same_origin;
///
/// let job = Uri::from_static("https://example.com/work/1");
/// assert!(same_origin(&job, &Uri::from_static("https://EXAMPLE.com:443/")));
/// assert!(!same_origin(&job, &Uri::from_static("https://example.com:8443/")));
/// assert!(!same_origin(&job, &Uri::from_static("http://example.com/")));
/// ```
#[must_use]
pub fn same_origin(a: &Uri, b: &Uri) -> bool {
    if is_path_only(a) || is_path_only(b) {
        return is_path_only(a) && is_path_only(b);
    }
    // Usually one URI was resolved against the other, and neither has a port
    // that could be invalid.
    if a.scheme().is_some() && a.scheme() == b.scheme() && authority(a) == authority(b) {
        let is_portless = |text: &str| !text.as_bytes().contains(&b':');
        return authority(a).is_some_and(is_portless) || Origin::of(a).is_some();
    }
    match (Origin::of(a), Origin::of(b)) {
        (Some(a), Some(b)) => {
            a.port == b.port
                && a.scheme.eq_ignore_ascii_case(b.scheme)
                && is_same_host(a.host, b.host)
        }
        _ => false,
    }
}

/// Returns whether two hosts of URLs are the same.
///
/// Names are compared without regard to case, and IPv6 addresses by value. A
/// name with a trailing dot differs from the name without it (RFC 6454 does not
/// normalise hosts). IPv4 addresses are compared as text.
///
/// ```
/// use http_polling::is_same_host;
///
/// assert!(is_same_host("example.com", "EXAMPLE.com"));
/// assert!(is_same_host("[::1]", "[0:0::0001]"));
/// assert!(!is_same_host("example.com", "example.com."));
/// ```
#[must_use]
pub fn is_same_host(a: &str, b: &str) -> bool {
    a.eq_ignore_ascii_case(b) || address(a).is_some_and(|a| address(b) == Some(a))
}

/// Parses a host that is an IPv6 address in brackets.
fn address(host: &str) -> Option<Ipv6Addr> {
    let address = host.strip_prefix('[')?.strip_suffix(']')?;
    address.parse().ok()
}

/// Returns whether a request that moves from `from` to `to` loses transport
/// security: from https to http.
///
/// ```
/// use http::Uri;
/// use http_polling::is_downgrade;
///
/// let secure = Uri::from_static("https://example.com/");
/// let open = Uri::from_static("http://example.com/");
/// assert!(is_downgrade(&secure, &open));
/// assert!(!is_downgrade(&open, &secure));
/// ```
#[must_use]
pub fn is_downgrade(from: &Uri, to: &Uri) -> bool {
    has_scheme(to, "http") && has_scheme(from, "https")
}

pub(crate) fn has_scheme(uri: &Uri, scheme: &str) -> bool {
    uri.scheme_str()
        .is_some_and(|own| own.eq_ignore_ascii_case(scheme))
}

fn is_path_only(uri: &Uri) -> bool {
    uri.scheme().is_none() && uri.authority().is_none()
}

fn authority(uri: &Uri) -> Option<&str> {
    uri.authority().map(Authority::as_str)
}

struct Origin<'a> {
    scheme: &'a str,
    host: &'a str,
    port: Option<u16>,
}

impl<'a> Origin<'a> {
    /// Returns `None` if the URI has no scheme or no authority, or if its port
    /// is invalid.
    fn of(uri: &'a Uri) -> Option<Self> {
        let scheme = uri.scheme_str()?;
        let authority = uri.authority()?;
        let host = authority.host();
        let text = authority.as_str();
        let host_and_port = text.rsplit_once('@').map_or(text, |(_, rest)| rest);
        let written_port = host_and_port.strip_prefix(host)?;
        let port = match written_port.strip_prefix(':').unwrap_or(written_port) {
            "" => default_port(scheme),
            port if port.bytes().all(|byte| byte.is_ascii_digit()) => Some(port.parse().ok()?),
            _ => return None,
        };
        Some(Self { scheme, host, port })
    }
}

fn default_port(scheme: &str) -> Option<u16> {
    if scheme.eq_ignore_ascii_case("https") {
        Some(443)
    } else if scheme.eq_ignore_ascii_case("http") {
        Some(80)
    } else {
        None
    }
}

#[cfg(test)]
mod tests;
