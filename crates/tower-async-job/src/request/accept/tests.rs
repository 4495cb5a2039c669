use http::{HeaderMap, HeaderName, HeaderValue, header::ACCEPT};

use super::{navigates, prefers_html, wants_page};

fn preferred(accept: &str) -> bool {
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT, HeaderValue::from_str(accept).expect("valid header"));
    prefers_html(&headers)
}

#[test]
fn browsers_get_the_page() {
    for accept in [
        "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,\
         image/apng,*/*;q=0.8,application/signed-exchange;v=b3;q=0.7",
        "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
        "text/html, application/xhtml+xml, */*",
        "text/html",
        "text/*",
        "TEXT/HTML ; charset=\"utf-8\" ; Q=0.4, application/json;q=0.3",
        "text/html;q=0.2, */*;q=0.1",
        "application/*;q=0.5, text/html;q=0.6",
        "not a media type, text/html",
    ] {
        assert!(preferred(accept), "{accept}");
    }
}

#[test]
fn others_do_not() {
    for accept in [
        "",
        "*/*",
        "application/json",
        "application/json, text/plain, */*",
        "application/json, text/html",
        "application/json;q=0.9, text/html;q=0.8",
        "text/html;q=0, */*",
        "text/html;q=0",
        "text/*, text/html;q=0.1, application/json;q=0.5",
        "text/html;q=2",
        "text/html;q=NaN",
        "application/xhtml+xml",
        "image/*,*/*;q=0.5",
        "x/\"text/html",
    ] {
        assert!(!preferred(accept), "{accept}");
    }
    assert!(!prefers_html(&HeaderMap::new()));
}

#[test]
fn several_accept_headers_are_one_list() {
    let mut headers = HeaderMap::new();
    headers.append(ACCEPT, HeaderValue::from_static("application/json;q=0.5"));
    headers.append(ACCEPT, HeaderValue::from_static("text/html"));
    assert!(prefers_html(&headers));
    headers.append(ACCEPT, HeaderValue::from_static("application/json"));
    assert!(!prefers_html(&headers));
}

fn headers(fields: &[(&'static str, &'static str)]) -> HeaderMap {
    let field = |(name, value): &(&'static str, &'static str)| {
        let name = HeaderName::from_static(name);
        (name, HeaderValue::from_static(value))
    };
    fields.iter().map(field).collect()
}

const SECURE: (&str, &str) = ("upgrade-insecure-requests", "1");

#[test]
fn s76_browsers_navigate() {
    for fields in [
        &[
            ("sec-fetch-dest", "document"),
            ("sec-fetch-mode", "navigate"),
            ("sec-fetch-site", "same-origin"),
            ("sec-fetch-user", "?1"),
            SECURE,
        ][..],
        &[("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "iframe")],
        &[("sec-fetch-mode", "navigate")],
        &[("sec-fetch-dest", "document")],
        // Without TLS, browsers send nothing else.
        &[SECURE],
    ] {
        assert!(navigates(&headers(fields)), "{fields:?}");
    }
}

#[test]
fn s76_programs_and_scripts_do_not_navigate() {
    for fields in [
        &[][..],
        &[("sec-fetch-mode", "cors"), ("sec-fetch-dest", "empty")],
        &[("sec-fetch-mode", "no-cors"), ("sec-fetch-dest", "image")],
        &[("sec-fetch-mode", "cors"), SECURE],
        &[("sec-fetch-site", "same-origin"), SECURE],
        &[("sec-fetch-mode", "navigated")],
        &[("sec-fetch-dest", "\"document\"")],
        &[("upgrade-insecure-requests", "0")],
        &[("upgrade-insecure-requests", "")],
    ] {
        assert!(!navigates(&headers(fields)), "{fields:?}");
    }
}

#[test]
fn s76_page_is_for_navigations_that_would_rather_have_html() {
    let html = ("accept", "text/html");
    assert!(wants_page(&headers(&[html, SECURE])));
    assert!(!wants_page(&headers(&[html])));
    assert!(!wants_page(&headers(&[SECURE])));
    assert!(!wants_page(&headers(&[("accept", "*/*"), SECURE])));
}
