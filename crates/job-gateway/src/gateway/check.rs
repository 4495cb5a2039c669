//! The requests that are refused before anything else is done with them.

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
    match request.uri().path().split('/').any(is_dots) {
        true => Err(Failure::DotSegment),
        false => Ok(()),
    }
}

/// Returns whether a request names its server as it must (RFC 9112, section 3.2).
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
        (None, Version::HTTP_11) => false,
        (None, _) => true,
        (Some(host), _) => host.is_empty() || is_authority(host.as_bytes()),
    }
}

fn is_authority(host: &[u8]) -> bool {
    let authority = http::uri::Authority::try_from(host);
    authority.is_ok_and(|authority| !authority.as_str().contains('@'))
}

/// Returns whether a segment is `.` or `..`, also with a dot as `%2e`, and before a parameter.
fn is_dots(segment: &str) -> bool {
    let segment = segment.split(';').next().unwrap_or_default();
    let dots = segment.replace("%2e", ".").replace("%2E", ".");
    dots == "." || dots == ".."
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
            "/a/%2e",
        ] {
            let refused = checked("GET", path, &[HERE]);
            assert!(matches!(refused, Err(Failure::DotSegment)), "{path}");
        }
        for path in ["/...", "/a..b/.c", "/.well-known/x", "/a?b=/../c", "/%252e"] {
            assert!(checked("GET", path, &[HERE]).is_ok(), "{path}");
        }
    }

    #[test]
    fn a_tunnel_is_refused() {
        let refused = checked("CONNECT", "a.example:443", &[HERE]);
        assert!(matches!(refused, Err(Failure::Connect)));
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
        for host in ["", "a.example", "a.example:80", "[::1]:80"] {
            assert!(checked("GET", "/", &[("host", host)]).is_ok(), "{host}");
        }
    }
}
