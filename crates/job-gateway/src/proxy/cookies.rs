//! Cookies, which clients of HTTP/2 may send in several fields.

use bytes::BytesMut;
use http::{HeaderValue, Request, Version, header::COOKIE};

/// Joins the cookies of HTTP/2 to one field, as servers of HTTP/1 expect them (RFC 9113, section
/// 8.2.3): a gateway interface such as WSGI would join them with commas.
pub(crate) fn join_cookies<B>(request: &mut Request<B>) {
    if request.version() != Version::HTTP_2 {
        return;
    }
    let headers = request.headers_mut();
    let mut fields = headers.get_all(COOKIE).iter();
    let Some(first) = fields.next() else { return };
    let mut joined = BytesMut::from(first.as_bytes());
    for field in fields {
        joined.extend_from_slice(b"; ");
        joined.extend_from_slice(field.as_bytes());
    }
    if let Ok(cookies) = HeaderValue::from_maybe_shared(joined.freeze()) {
        headers.insert(COOKIE, cookies);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn joined(version: Version, cookies: &[&str]) -> Vec<String> {
        let mut request = Request::builder().version(version);
        for cookie in cookies {
            request = request.header(COOKIE, *cookie);
        }
        let mut request = request.body(()).unwrap();
        join_cookies(&mut request);
        let fields = request.headers().get_all(COOKIE).iter();
        fields
            .map(|field| field.to_str().unwrap().to_owned())
            .collect()
    }

    #[test]
    fn cookies_of_http_2_become_one_field() {
        let many = ["a=1", "b=2; c=3", "d=4"];
        assert_eq!(joined(Version::HTTP_2, &many), ["a=1; b=2; c=3; d=4"]);
        assert_eq!(joined(Version::HTTP_2, &many[..1]), ["a=1"]);
        assert!(joined(Version::HTTP_2, &[]).is_empty());
        assert_eq!(joined(Version::HTTP_11, &many), many);
    }
}
