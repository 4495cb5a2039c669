//! Keys that make a submission safe to repeat (draft-ietf-httpapi-idempotency-key-header).

use http::{HeaderValue, Request};
use http_polling::IDEMPOTENCY_KEY;
use uuid::Uuid;

/// Adds an `Idempotency-Key` to `request`, if its method is not safe (RFC
/// 9110, section 9.2.1) and it has none: a string (RFC 9651) of a version 4
/// UUID, which is 122 bits from the system's random source.
pub(crate) fn add_key<B>(request: &mut Request<B>) {
    if request.method().is_safe() || request.headers().contains_key(IDEMPOTENCY_KEY) {
        return;
    }
    let key = format!("\"{}\"", Uuid::new_v4());
    let key = HeaderValue::try_from(key).expect("an UUID is made of visible characters");
    request.headers_mut().insert(IDEMPOTENCY_KEY, key);
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use http::Method;

    use super::*;

    fn key_of(method: Method) -> Option<String> {
        let mut request = Request::new(());
        *request.method_mut() = method;
        add_key(&mut request);
        let key = request.headers().get(IDEMPOTENCY_KEY)?;
        Some(key.to_str().unwrap().to_owned())
    }

    #[test]
    fn key_is_a_quoted_random_uuid() {
        let key = key_of(Method::POST).unwrap();
        let text = key.strip_prefix('"').unwrap().strip_suffix('"').unwrap();
        assert_eq!(Uuid::parse_str(text).unwrap().get_version_num(), 4);
    }

    #[test]
    fn no_two_requests_have_the_same_key() {
        let keys: HashSet<_> = (0..1000).map(|_| key_of(Method::POST)).collect();
        assert_eq!(keys.len(), 1000);
    }

    #[test]
    fn every_method_that_is_not_safe_has_a_key_and_no_other() {
        let custom = Method::from_bytes(b"REPORT").unwrap();
        for method in [
            Method::POST,
            Method::PATCH,
            Method::PUT,
            Method::DELETE,
            custom,
        ] {
            assert!(key_of(method.clone()).is_some(), "{method}");
        }
        for method in [Method::GET, Method::HEAD, Method::OPTIONS, Method::TRACE] {
            assert_eq!(key_of(method.clone()), None, "{method}");
        }
    }

    #[test]
    fn key_of_the_caller_stays() {
        let mut request = Request::post("/")
            .header(IDEMPOTENCY_KEY, "mine")
            .body(())
            .unwrap();
        add_key(&mut request);
        let keys: Vec<_> = request.headers().get_all(IDEMPOTENCY_KEY).iter().collect();
        assert_eq!(keys, ["mine"]);
    }
}
