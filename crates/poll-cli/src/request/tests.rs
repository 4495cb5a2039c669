use http::{HeaderName, Uri};

use tower_poll::is_of_one_message;

use super::*;

fn lines(texts: &[&str]) -> Vec<HeaderLine> {
    texts.iter().map(|text| line(text)).collect()
}

fn line(text: &str) -> HeaderLine {
    text.parse().unwrap()
}

#[test]
fn header_lines_are_those_of_curl() {
    assert_eq!(
        line("X-Tenant:  seven "),
        HeaderLine::Set(
            HeaderName::from_static("x-tenant"),
            HeaderValue::from_static("seven")
        )
    );
    assert_eq!(line("Accept:"), HeaderLine::Remove(ACCEPT));
    assert_eq!(
        line("X-Empty;"),
        HeaderLine::Set(
            HeaderName::from_static("x-empty"),
            HeaderValue::from_static("")
        )
    );
    for text in ["", "X-Tenant", ": seven", "a b: c", "a: b\r\nc: d", ";"] {
        assert!(text.parse::<HeaderLine>().is_err(), "{text:?}");
    }
}

#[test]
fn own_headers_stand_in_place_of_the_defaults_and_several_are_all_sent() {
    let texts = ["Accept:", "Content-Type: text/csv", "X-Tag: a", "X-Tag: b"];
    let headers = headers(&lines(&texts), &[], Some("me:secret"), Some("text/plain"));
    assert!(!headers.contains_key(ACCEPT));
    assert_eq!(headers[CONTENT_TYPE], "text/csv");
    assert_eq!(headers[AUTHORIZATION], "Basic bWU6c2VjcmV0");
    assert!(headers[AUTHORIZATION].is_sensitive());
    assert_eq!(headers.get_all("x-tag").iter().count(), 2);
}

#[test]
fn secrets_are_known_by_their_names() {
    for (name, is_secret) in [
        ("authorization", true),
        ("proxy-authorization", true),
        ("cookie", true),
        ("set-cookie", true),
        ("x-api-key", true),
        ("x-auth-token", true),
        ("x-functions-key", true),
        ("x-goog-api-key", true),
        ("x-shop-key", true),
        ("ocp-apim-subscription-key", true),
        ("idempotency-key", false),
        ("x-author", false),
        ("accept", false),
    ] {
        assert_eq!(
            is_credential(&HeaderName::from_static(name)),
            is_secret,
            "{name}"
        );
    }
}

#[test]
fn what_need_not_leave_the_origin_is_marked() {
    let lines = lines(&["X-Tenant: a", "X-Kept: b", "X-Api-Key: c", "Accept: d"]);
    let kept = [
        HeaderName::from_static("x-kept"),
        HeaderName::from_static("x-api-key"),
    ];
    let headers = headers(&lines, &kept, None, None);
    for (name, stays) in [
        ("x-tenant", true),
        ("x-kept", false),
        ("x-api-key", true),
        ("accept", false),
        ("user-agent", false),
    ] {
        assert_eq!(headers[name].is_sensitive(), stays, "{name}");
    }
}

#[test]
fn headers_of_one_message_do_not_go_on() {
    for (name, is_of_one) in [
        ("content-type", true),
        ("content-digest", true),
        ("if-none-match", true),
        ("range", true),
        ("prefer", true),
        ("idempotency-key", true),
        ("expect", true),
        ("connection", true),
        ("signature-input", true),
        ("x-amz-date", true),
        ("x-http-method-override", true),
        ("host", false),
        ("accept", false),
        ("authorization", false),
        ("x-auth-token", false),
        ("x-tenant", false),
    ] {
        assert_eq!(
            is_of_one_message(&HeaderName::from_static(name)),
            is_of_one,
            "{name}"
        );
    }
}

#[test]
fn urls_may_lack_a_scheme_and_have_a_user() {
    for (url, uri, user) in [
        ("example.com", "http://example.com/", None),
        (
            "localhost:3000/a?b=c#d",
            "http://localhost:3000/a?b=c",
            None,
        ),
        (
            "https://example.com/a?u=http://b@c",
            "https://example.com/a?u=http://b@c",
            None,
        ),
        (
            "example.com/?u=http://b",
            "http://example.com/?u=http://b",
            None,
        ),
        (
            "http://me:p%40ss@example.com",
            "http://example.com/",
            Some("me:p@ss"),
        ),
        ("me:a@b@example.com", "http://example.com/", Some("me:a@b")),
        ("http://[::1]:80/", "http://[::1]:80/", None),
    ] {
        let target: Target = url.parse().unwrap();
        assert_eq!(target.uri, Uri::from_static(uri), "{url}");
        assert_eq!(target.user.as_deref(), user, "{url}");
        assert!(!format!("{target:?}").contains("p@ss"));
    }
}

#[test]
fn what_is_no_url_of_http_is_refused() {
    for url in [
        "",
        "file:///etc/passwd",
        "ftp://example.com",
        "http://",
        "http://:80",
        "http://example.com:99999",
        "http://exa mple.com",
        "http://a%2Fb/",
        "http://example.com/\r\nx",
    ] {
        assert!(url.parse::<Target>().is_err(), "{url:?}");
    }
}

#[test]
fn data_is_text_a_file_or_standard_input() {
    assert_eq!("a=b".parse(), Ok(Part::text("a=b")));
    assert_eq!("@a.json".parse(), Ok(Part::File("a.json".into())));
    assert_eq!("@-".parse(), Ok(Part::StandardInput));
    assert!("@".parse::<Part>().is_err());
}
