//! The server's name and the target of a request, where each version of HTTP has them.

use http::{
    HeaderValue, Request, Uri, Version,
    header::HOST,
    uri::{Authority, PathAndQuery, Scheme},
};

use crate::config::Upstream;

/// Gives a request the form of HTTP/1.1: a target without a server, and `Host`.
pub(super) fn to_http1<B>(request: &mut Request<B>, upstream: &Upstream) {
    if !request.headers().contains_key(HOST) {
        let authority = request.uri().authority().or(upstream.url.authority());
        let host = authority.map(|authority| HeaderValue::from_str(authority.as_str()));
        if let Some(Ok(host)) = host {
            request.headers_mut().insert(HOST, host);
        }
    }
    *request.uri_mut() = Uri::from(path_of(request.uri()));
    *request.version_mut() = Version::HTTP_11;
}

/// Gives a request the form of HTTP/2: the scheme and the server are part of the target (RFC 9113,
/// section 8.3.1).
pub(super) fn to_http2<B>(request: &mut Request<B>, upstream: &Upstream) {
    let host = request.headers_mut().remove(HOST);
    let host = host.and_then(|host| Authority::try_from(host.as_bytes()).ok());
    let uri = request.uri();
    let mut parts = http::uri::Parts::default();
    parts.authority = host.or_else(|| uri.authority().or(upstream.url.authority()).cloned());
    parts.scheme = Some(match upstream.url.scheme_str() {
        Some("https") => Scheme::HTTPS,
        _ => Scheme::HTTP,
    });
    parts.path_and_query = Some(path_of(uri));
    *request.uri_mut() = Uri::from_parts(parts).expect("all parts are there");
    *request.version_mut() = Version::HTTP_2;
}

fn path_of(uri: &Uri) -> PathAndQuery {
    let path = uri.path_and_query().cloned();
    path.unwrap_or_else(|| PathAndQuery::from_static("/"))
}
