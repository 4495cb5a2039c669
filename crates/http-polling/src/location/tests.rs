use super::*;

const BASE: &str = "https://example.com:8443/a/b/c?d=e";
const PATH: &str = "/package.Service/Method";

fn on(base: &str, reference: impl AsRef<[u8]>) -> Result<String, LocationError> {
    let base: Uri = base.parse().unwrap();
    resolve(&base, reference).map(|uri| uri.to_string())
}

#[track_caller]
fn leads(base: &str, reference: &str, expected: &str) {
    assert_eq!(
        on(base, reference).as_deref(),
        Ok(expected),
        "{reference:?}"
    );
}

#[track_caller]
fn refused(base: &str, reference: impl AsRef<[u8]> + std::fmt::Debug, error: LocationError) {
    assert_eq!(on(base, &reference), Err(error), "{reference:?}");
}

#[test]
fn relative_references_keep_the_bases_origin() {
    leads(
        BASE,
        "/work/1?poll=1&due=3000",
        "https://example.com:8443/work/1?poll=1&due=3000",
    );
    leads(BASE, "work", "https://example.com:8443/a/b/work");
    leads(BASE, "../../../x", "https://example.com:8443/x");
    leads(BASE, "/./x/../y", "https://example.com:8443/y");
    leads(BASE, "?f=g", "https://example.com:8443/a/b/c?f=g");
    leads(BASE, "/x?a=/../b", "https://example.com:8443/x?a=/../b");
    leads("https://example.com", "x", "https://example.com/x");
    leads("https://example.com?q", "x", "https://example.com/x");
}

#[test]
fn the_examples_of_the_standard_resolve_as_it_says() {
    // RFC 3986, sections 5.4.1 and 5.4.2, without fragments.
    for (reference, expected) in [
        ("g", "http://a/b/c/g"),
        ("./g", "http://a/b/c/g"),
        ("g/", "http://a/b/c/g/"),
        ("/g", "http://a/g"),
        ("//g", "http://g/"),
        ("?y", "http://a/b/c/d;p?y"),
        ("g?y", "http://a/b/c/g?y"),
        ("#s", "http://a/b/c/d;p?q"),
        ("g?y#s", "http://a/b/c/g?y"),
        (";x", "http://a/b/c/;x"),
        ("g;x?y", "http://a/b/c/g;x?y"),
        (".", "http://a/b/c/"),
        ("./", "http://a/b/c/"),
        ("..", "http://a/b/"),
        ("../g", "http://a/b/g"),
        ("../..", "http://a/"),
        ("../../../../g", "http://a/g"),
        ("/./g", "http://a/g"),
        ("/../g", "http://a/g"),
        ("g.", "http://a/b/c/g."),
        (".g", "http://a/b/c/.g"),
        ("/.g", "http://a/.g"),
        ("g..", "http://a/b/c/g.."),
        ("./../g", "http://a/b/g"),
        ("g;x=1/../y", "http://a/b/c/y"),
        ("g?y/../x", "http://a/b/c/g?y/../x"),
    ] {
        leads("http://a/b/c/d;p?q", reference, expected);
    }
}

#[test]
fn encoded_dots_are_dots_whatever_stands_around_them() {
    for base in ["https://[::1]/", "https://example.com/", "/"] {
        for (reference, expected) in [
            ("/a/%2e/b", "a/b"),
            ("/a/%2E%2e/b", "b"),
            ("/a/.%2E/b", "b"),
            ("/a/%2e./b", "b"),
            ("%2e/b", "b"),
            ("/a/b/%2e%2e", "a/"),
            ("/a/%2eb", "a/%2eb"),
            ("/a/b%2e/c", "a/b%2e/c"),
            ("/a?/%2e/b", "a?/%2e/b"),
        ] {
            let expected = format!("{base}{expected}");
            leads(base, reference, &expected);
            leads(base, &expected, &expected);
            if reference.starts_with('/') && base != "/" {
                leads(
                    base,
                    &format!("{}{reference}", &base[..base.len() - 1]),
                    &expected,
                );
            }
        }
    }
}

#[test]
fn absolute_references_stand_for_themselves() {
    leads(BASE, "http://other.example", "http://other.example/");
    leads(
        BASE,
        "HTTPS://Other.example:1/x?y",
        "https://Other.example:1/x?y",
    );
    leads(BASE, "http://other.example?x", "http://other.example/?x");
    leads(
        BASE,
        "http://other.example/a/../b",
        "http://other.example/b",
    );
    leads(BASE, "http://[::1]:80/x", "http://[::1]:80/x");
    leads(BASE, "//other.example/x", "https://other.example/x");
    leads(PATH, "https://other.example/x", "https://other.example/x");
}

#[test]
fn c26_a_path_only_base_gives_path_only_uris() {
    leads(PATH, "/work/1", "/work/1");
    leads(PATH, "work", "/package.Service/work");
    leads(PATH, "../../x", "/x");
    refused(PATH, "//other.example/x", LocationError::NoBase);
    refused(PATH, "/..//other.example/x", LocationError::NoBase);
}

#[test]
fn what_is_no_base_is_told() {
    refused("example.com:443", "/x", LocationError::NoBase);
    refused("example.com:443", "x", LocationError::NoBase);
    refused("*", "x", LocationError::NoBase);
    refused("ftp://example.com/", "/x", LocationError::Scheme);
    refused("ftp://example.com/", "x", LocationError::Scheme);
    refused(
        "ftp://example.com/",
        "//example.com/x",
        LocationError::Scheme,
    );
}

#[test]
fn fragments_and_outer_white_space_are_dropped() {
    leads(BASE, "/x#y", "https://example.com:8443/x");
    leads(BASE, "http://other.example#y", "http://other.example/");
    leads(BASE, " \t/x ", "https://example.com:8443/x");
}

#[test]
fn what_a_uri_cannot_have_is_percent_encoded() {
    leads(
        BASE,
        "/a b?c=[\"d\"]",
        "https://example.com:8443/a%20b?c=%5B%22d%22%5D",
    );
    leads(BASE, "/ä", "https://example.com:8443/%C3%A4");
    leads(
        BASE,
        "/\\other.example",
        "https://example.com:8443/%5Cother.example",
    );
    leads(BASE, "http://[::1]/[x]", "http://[::1]/%5Bx%5D");
    leads("http://a/{b}/c", "d", "http://a/%7Bb%7D/d");
    leads("http://a//\"b/c", "d", "http://a//%22b/d");
}

#[test]
fn c06_other_schemes_are_refused() {
    for reference in [
        "file:///etc/passwd",
        "FILE:///etc/passwd",
        "ftp://example.com/",
        "javascript:alert(1)",
        "data:,x",
        "mailto:me@example.com",
        "httpx://example.com/",
    ] {
        refused(BASE, reference, LocationError::Scheme);
        refused(PATH, reference, LocationError::Scheme);
    }
}

#[test]
fn c06_user_names_are_refused() {
    for reference in [
        "https://me@example.com/",
        "https://me:secret@example.com/",
        "https://@example.com/",
        "//me@example.com/x",
        "https://example.com\\@other.example/",
        "https://me@example.com/a/../b",
    ] {
        refused(BASE, reference, LocationError::UserInfo);
    }
}

#[test]
fn c06_hosts_that_are_none_are_refused() {
    for reference in [
        "https://example.com%2Fother.example/",
        "https://example.com%2fother.example/",
        "https://ex%61mple.com/",
        "https://exämple.com/",
        "https://exam ple.com/",
        "https://example.com\\other.example/",
        "https:///x",
        "https://:443/x",
        "https:/x",
        "https:x",
        "///x",
        "https://[::1%25eth0]/",
    ] {
        assert!(
            matches!(
                on(BASE, reference),
                Err(LocationError::Host | LocationError::Syntax)
            ),
            "{reference:?}"
        );
    }
    refused(
        BASE,
        "https://example.com%2Fother.example/",
        LocationError::Host,
    );
    refused(BASE, "https:///x", LocationError::Host);
}

#[test]
fn c06_ports_that_are_none_are_refused() {
    refused(BASE, "https://example.com:65536/", LocationError::Syntax);
    refused(BASE, "https://example.com:x/", LocationError::Syntax);
    refused(BASE, "https://example.com:1:2/", LocationError::Syntax);
}

#[test]
fn c06_control_characters_are_refused() {
    for reference in ["/a\r\nb", "/a\0", "/a\x7f", "/a\tb", "/a#\n", "\n/a"] {
        refused(BASE, reference, LocationError::Syntax);
    }
}

#[test]
fn c06_what_is_not_utf8_is_encoded_byte_by_byte_and_is_no_host() {
    for (reference, path) in [
        (&b"/caf\xe9"[..], "/caf%E9"),
        (b"/\xc3\xa9\xff?\xe9 \xe9#\xe9", "/%C3%A9%FF?%E9%20%E9"),
        (b"https://example.com/\xe9/../\xff", "/%FF"),
    ] {
        let uri = resolve(&Uri::from_static("https://example.com/a"), reference).unwrap();
        assert_eq!(uri, *format!("https://example.com{path}"));
    }
    refused(BASE, b"https://ex\xe9mple.com/", LocationError::Host);
    refused(BASE, b"/\xe9\r\n", LocationError::Syntax);
}

#[test]
fn c06_broken_percent_encoding_is_refused() {
    for reference in ["/%", "/%4", "/%4g", "/x?%zz", "x%"] {
        refused(BASE, reference, LocationError::Syntax);
    }
}

#[test]
fn c06_a_long_location_is_refused() {
    let longest = format!("/{}", "x".repeat(MAX_LOCATION - 1));
    assert!(on(BASE, &longest).is_ok());
    refused(BASE, format!("{longest}x"), LocationError::TooLong);
    refused(BASE, "x".repeat(64 * 1024), LocationError::TooLong);
}

#[test]
fn c07_an_empty_location_is_missing() {
    refused(BASE, "", LocationError::Missing);
    refused(BASE, " ", LocationError::Missing);
}

#[test]
fn a_relative_reference_keeps_the_callers_own_user_name() {
    leads("http://me@example.com/a", "/b", "http://me@example.com/b");
    leads("http://me@example.com/a", "b", "http://me@example.com/b");
}
