//! The requests that are refused before anything else is done with them.

use std::borrow::Cow;

use http::{Method, Request, Version, header::HOST};

use crate::proxy::{self, Failure};

/// Refuses a request that cannot be sent on.
pub(super) fn check<B>(request: &Request<B>, max_fields: usize) -> Result<(), Failure> {
    // Over HTTP/1, the server has counted them as they arrived.
    if request.headers().len() > max_fields {
        return Err(Failure::Fields);
    }
    if proxy::is_loop(request.headers()) {
        return Err(Failure::Loop);
    }
    if request.method() == Method::CONNECT {
        return Err(Failure::Connect);
    }
    if !has_one_host(request) {
        return Err(Failure::Host);
    }
    if !proxy::has_known_coding(request.headers()) {
        return Err(Failure::Coding);
    }
    match has_dot_segment(request.uri().path()) {
        true => Err(Failure::DotSegment),
        false => Ok(()),
    }
}

/// Returns whether a request names its server as it must (RFC 9112, section 3.2; RFC 9113, section
/// 8.3.1).
fn has_one_host<B>(request: &Request<B>) -> bool {
    let mut hosts = request.headers().get_all(HOST).iter();
    let host = hosts.next();
    if hosts.next().is_some() {
        return false;
    }
    let names_user = |authority: &http::uri::Authority| authority.as_str().contains('@');
    if request.uri().authority().is_some_and(names_user) {
        return false;
    }
    match (host, request.version()) {
        (None, Version::HTTP_09 | Version::HTTP_10) => true,
        (None, Version::HTTP_11) => false,
        (None, _) => request.uri().authority().is_some(),
        (Some(host), _) => host.is_empty() || is_authority(host.as_bytes()),
    }
}

fn is_authority(host: &[u8]) -> bool {
    // Most are a name without a port, which needs no parser.
    let is_of_name = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-');
    if host.iter().all(is_of_name) {
        return true;
    }
    let authority = http::uri::Authority::try_from(host);
    authority.is_ok_and(|authority| !authority.as_str().contains('@'))
}

/// Returns whether a path has a segment `.` or `..`, also in spellings that some servers decode first,
/// between backslashes, and before a parameter.
fn has_dot_segment(path: &str) -> bool {
    let mut path = Cow::Borrowed(path);
    if path.contains(['%', '\\']) {
        let decoded = path.to_ascii_lowercase().replace('\\', "/");
        let decoded = decoded.replace("%2f", "/").replace("%5c", "/");
        path = decoded.replace("%2e", ".").replace("%3b", ";").into();
    }
    path.split('/').any(|segment| {
        let name = segment.split(';').next();
        matches!(name, Some("." | ".."))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(method: &str, uri: &str, fields: &[(&str, &str)]) -> Result<(), Failure> {
        let mut request = Request::builder().method(method).uri(uri);
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        check(&request.body(()).unwrap(), 100)
    }

    const HERE: (&str, &str) = ("host", "a.example");

    #[test]
    fn dot_segments_are_refused_in_each_spelling() {
        for path in [
            "/..",
            "/.",
            "/a/../b",
            "/a/./b",
            "/a/%2e%2e/b",
            "/%2E./b",
            "/.%2e",
            "/a/..;x=1/b",
            "/a/..%3bx=1/b",
            "/a/%2e",
            "/a/..%2Fb",
            "/a%5c..%5cb",
            "/a/..\\b",
        ] {
            let refused = checked("GET", path, &[HERE]);
            assert!(matches!(refused, Err(Failure::DotSegment)), "{path}");
        }
        for path in [
            "/...",
            "/a..b/.c",
            "/.well-known/x",
            "/a?b=/../c",
            "/%252e",
            "/a%2fb",
        ] {
            assert!(checked("GET", path, &[HERE]).is_ok(), "{path}");
        }
    }

    #[test]
    fn a_tunnel_is_refused() {
        let refused = checked("CONNECT", "a.example:443", &[HERE]);
        assert!(matches!(refused, Err(Failure::Connect)));
    }

    #[test]
    fn a_coding_that_would_be_lost_is_refused() {
        let checked = |codings: &[&'static str]| {
            let fields = codings.iter().map(|coding| ("transfer-encoding", *coding));
            checked(
                "POST",
                "/",
                &[&[HERE], &fields.collect::<Vec<_>>()[..]].concat(),
            )
        };
        for codings in [
            &["gzip, chunked"][..],
            &["x", "chunked"],
            &["chunked", "chunked"],
        ] {
            assert!(
                matches!(checked(codings), Err(Failure::Coding)),
                "{codings:?}"
            );
        }
        assert!(checked(&["Chunked"]).is_ok());
    }

    #[test]
    fn a_request_that_comes_back_is_refused() {
        let back = ("via", "1.0 nginx, 1.1 job-gateway");
        assert!(matches!(
            checked("GET", "/", &[HERE, back]),
            Err(Failure::Loop)
        ));
        let other = ("via", "1.1 job-gateway-2 (job-gateway)");
        assert!(checked("GET", "/", &[HERE, other]).is_ok());
    }

    #[test]
    fn a_request_names_one_server() {
        let refused = |fields: &[_]| matches!(checked("GET", "/", fields), Err(Failure::Host));
        assert!(refused(&[]));
        assert!(refused(&[HERE, HERE]));
        assert!(refused(&[HERE, ("host", "b.example")]));
        assert!(refused(&[("host", "me@a.example")]));
        assert!(refused(&[("host", "a.example/b")]));
        assert!(matches!(
            checked("GET", "http://me@a.example/", &[HERE]),
            Err(Failure::Host)
        ));
        let of_http2 = |uri| {
            let request = Request::get(uri).version(Version::HTTP_2);
            check(&request.body(()).unwrap(), 100)
        };
        assert!(matches!(of_http2("/"), Err(Failure::Host)));
        assert!(of_http2("http://a.example/").is_ok());
        for host in ["", "a.example", "a.example:80", "[::1]:80"] {
            assert!(checked("GET", "/", &[("host", host)]).is_ok(), "{host}");
        }
    }
}
