use std::time::Duration;

use http::{
    HeaderMap, HeaderName, HeaderValue, Uri,
    header::{ACCEPT, AUTHORIZATION, COOKIE, PROXY_AUTHORIZATION, USER_AGENT},
};

use super::{
    names::{COOKIE_AT, DEFAULT, GRPC_TIMEOUT_AT, kept_by_default},
    *,
};

fn keep(pairs: &[(&'static str, &'static str)], own: &[HeaderName]) -> KeptText {
    let mut kept = KeptText::new();
    for (name, value) in pairs {
        let name = HeaderName::from_static(name);
        kept.offer(&name, &HeaderValue::from_static(value), own);
    }
    kept
}

fn map(kept: &KeptHeaders, own: &[HeaderName], cookies: Option<&'static str>) -> HeaderMap {
    let mut map = HeaderMap::new();
    kept.fill(&mut map, own, cookies.map(HeaderValue::from_static));
    map
}

#[test]
fn default_names_have_their_index() {
    for (at, name) in DEFAULT.iter().enumerate() {
        let index = kept_by_default(name.as_str());
        assert_eq!(index.map(usize::from), Some(at), "{name}");
    }
    assert_eq!(DEFAULT[usize::from(COOKIE_AT)], COOKIE);
    assert_eq!(DEFAULT[usize::from(GRPC_TIMEOUT_AT)], "grpc-timeout");
    for name in [
        "",
        "tx",
        "cookix",
        "authorizatiox",
        "accept-encodinx",
        "x-y-z",
    ] {
        assert_eq!(kept_by_default(name), None, "{name}");
    }
}

#[test]
fn every_form_of_uri_comes_back() {
    let long = format!("/{}?q=1", "x".repeat(300));
    let long_and_absolute = format!("https://example.com{long}");
    for text in [
        "/",
        "*",
        "/pkg.Service/Method",
        "/a?b=c",
        "https://example.com/a?b=c",
        "http://me@example.com:8443",
        "unix://socket/a",
        "example.com:443",
        long.as_str(),
        long_and_absolute.as_str(),
    ] {
        let uri: Uri = text.parse().unwrap();
        let mut kept = KeptText::new();
        kept.put_uri(&uri);
        kept.offer(&ACCEPT, &HeaderValue::from_static("*/*"), &[]);
        let (_, shared, headers) = kept.share();
        assert_eq!(shared, uri);
        assert_eq!(map(&headers, &[], None)[ACCEPT], "*/*");
    }
}

#[test]
fn only_listed_and_own_names_are_kept() {
    let own = [HeaderName::from_static("x-tenant")];
    let kept = keep(
        &[
            ("accept", "a/b"),
            ("content-type", "text/plain"),
            ("x-tenant", "seven"),
            ("x-other", "no"),
            ("accept", ""),
            ("accept", "c/d"),
        ],
        &own,
    );
    let map = map(&kept.share().2, &own, None);
    let values: Vec<_> = map.get_all(ACCEPT).iter().collect();
    assert_eq!(values, ["a/b", "", "c/d"]);
    assert_eq!(map["x-tenant"], "seven");
    assert_eq!(map.len(), 4);
}

#[test]
fn any_value_comes_back() {
    let mut kept = KeptText::new();
    let long = HeaderValue::from_bytes(&[0xff; 5000]).unwrap();
    let mut secret = HeaderValue::from_static("secret");
    secret.set_sensitive(true);
    kept.offer(&USER_AGENT, &long, &[]);
    kept.offer(&AUTHORIZATION, &secret, &[]);
    let map = map(&kept.share().2, &[], None);
    assert_eq!(map[USER_AGENT], long);
    assert!(map[AUTHORIZATION].is_sensitive() && !map[USER_AGENT].is_sensitive());
}

#[test]
fn grpc_timeout_is_kept_and_not_sent() {
    let kept = keep(&[("accept", "*/*"), ("grpc-timeout", "5S")], &[])
        .share()
        .2;
    assert_eq!(kept.grpc_timeout(), Some(Duration::from_secs(5)));
    assert_eq!(map(&kept, &[], None).len(), 1);
}

#[test]
fn jar_replaces_own_cookies() {
    let kept = keep(&[("cookie", "a=1"), ("accept", "*/*")], &[]).share().2;
    assert_eq!(kept.cookies().collect::<Vec<_>>(), [b"a=1"]);
    let replaced = map(&kept, &[], Some("a=1; b=2"));
    assert_eq!(replaced.get_all(COOKIE).iter().count(), 1);
    assert_eq!(replaced[COOKIE], "a=1; b=2");
    assert!(!map(&kept, &[], Some("")).contains_key(COOKIE));
}

#[test]
fn credentials_and_sensitive_values_are_dropped() {
    let own = [HeaderName::from_static("x-key"), PROXY_AUTHORIZATION];
    let mut kept = keep(
        &[
            ("authorization", "Basic x"),
            ("proxy-authorization", "Basic y"),
            ("cookie", "a=1"),
            ("host", "example.com"),
            ("accept", "*/*"),
        ],
        &own,
    );
    let mut secret = HeaderValue::from_static("secret");
    secret.set_sensitive(true);
    kept.offer(&own[0], &secret, &own);
    let mut kept = kept.share().2;
    kept.drop_credentials(&own);
    let map = map(&kept, &own, None);
    assert_eq!(map.len(), 1);
    assert_eq!(map[ACCEPT], "*/*");
}

#[test]
fn c36_sensitive_values_of_any_name_are_kept_and_dropped() {
    let mut secret = HeaderValue::from_static("secret");
    secret.set_sensitive(true);
    let long = HeaderName::from_bytes(&[b'x'; 300]).unwrap();
    let mut kept = KeptText::new();
    for name in [HeaderName::from_static("x-team-key"), long.clone()] {
        kept.offer(&name, &secret, &[]);
    }
    for name in [
        "content-md5",
        "digest",
        "dpop",
        "idempotency-key",
        "if-match",
        "proxy-authorization",
        "repr-digest",
        "signature-input",
        "x-amz-security-token",
        "x-http-method",
        "x-http-method-override",
        "x-method-override",
    ] {
        kept.offer(&HeaderName::from_static(name), &secret, &[]);
    }
    kept.offer(&ACCEPT, &HeaderValue::from_static("*/*"), &[]);
    let mut kept = kept.share().2;
    let headers = map(&kept, &[], None);
    assert_eq!(headers.len(), 3);
    for name in [&HeaderName::from_static("x-team-key"), &long] {
        assert!(headers[name] == "secret" && headers[name].is_sensitive());
    }
    kept.drop_credentials(&[]);
    let headers = map(&kept, &[], None);
    assert_eq!(
        (headers.len(), &headers[ACCEPT]),
        (1, &"*/*".parse().unwrap())
    );
}

#[test]
fn c36_api_keys_are_kept_and_dropped() {
    let names = [
        "x-api-key",
        "api-key",
        "x-auth-token",
        "x-functions-key",
        "ocp-apim-subscription-key",
        "x-goog-api-key",
    ];
    let mut kept = keep(&names.map(|name| (name, "secret")), &[]).share().2;
    let headers = map(&kept, &[], None);
    assert!(names.iter().all(|name| headers[*name] == "secret"));
    kept.drop_credentials(&[]);
    assert!(map(&kept, &[], None).is_empty());
}

#[test]
fn body_headers_cannot_be_asked_for() {
    for name in [
        "content-length",
        "content-type",
        "prefer",
        "idempotency-key",
    ] {
        assert!(!may_be_kept(&HeaderName::from_static(name)), "{name}");
    }
    assert!(may_be_kept(&HeaderName::from_static("x-tenant")));
}
