use super::*;

const NOW: SystemTime = SystemTime::UNIX_EPOCH;

fn jar(uri: &'static str, set: &[&'static str]) -> Jar {
    let mut jar = Jar::default();
    put(&mut jar, uri, set);
    jar
}

fn put(jar: &mut Jar, uri: &'static str, set: &[&'static str]) {
    let mut headers = HeaderMap::new();
    for value in set {
        headers.append(SET_COOKIE, HeaderValue::from_static(value));
    }
    jar.store(&headers, &Uri::from_static(uri), NOW);
}

fn sent(jar: &Jar, uri: &'static str, own: &'static str, now: SystemTime) -> String {
    let own = [own.as_bytes()].into_iter();
    let header = jar.header(own, &Uri::from_static(uri), now);
    header.to_str().unwrap().to_owned()
}

#[test]
fn empty_jar_leaves_own_cookies_alone() {
    assert!(Jar::default().is_empty());
    assert_eq!(sent(&Jar::default(), "https://a/", "x=1", NOW), "x=1");
}

#[test]
fn set_cookie_goes_behind_own_and_in_place_of_same_name() {
    let jar = jar("https://a/", &["lb=7; HttpOnly", "x=2"]);
    let line = sent(&jar, "https://a/", "own=1; x=1;", NOW);
    assert_eq!(line, "own=1; lb=7; x=2");
}

#[test]
fn later_value_replaces_earlier() {
    let mut jar = jar("https://a/", &["lb=1"]);
    put(&mut jar, "https://a/", &["lb=2"]);
    assert_eq!(sent(&jar, "https://a/", "", NOW), "lb=2");
}

#[test]
fn max_age_zero_and_past_expiry_remove() {
    for removal in [
        "lb=; Max-Age=0",
        "lb=; Max-Age=-5",
        "lb=; Expires=Thu, 01 Jan 1970 00:00:00 GMT",
    ] {
        let mut jar = jar("https://a/", &["lb=1"]);
        put(&mut jar, "https://a/", &[removal]);
        assert_eq!(sent(&jar, "https://a/", "lb=0; own=1", NOW), "own=1");
    }
}

#[test]
fn max_age_ends_and_goes_before_expires() {
    let jar = jar(
        "https://a/",
        &[
            "lb=1; Max-Age=60; Expires=Thu, 01 Jan 1970 00:00:00 GMT",
            "k=1",
        ],
    );
    let later = NOW + Duration::from_secs(60);
    assert_eq!(sent(&jar, "https://a/", "", NOW), "lb=1; k=1");
    assert_eq!(sent(&jar, "https://a/", "", later), "k=1");
}

#[test]
fn absurd_ages_are_survived() {
    let jar = jar(
        "https://a/",
        &[
            "a=1; Max-Age=99999999999999999999999999",
            "b=1; Expires=Fri, 31 Dec 9999 23:59:59 GMT",
            "c=1; Max-Age=garbage",
        ],
    );
    assert_eq!(sent(&jar, "https://a/", "", NOW), "a=1; b=1; c=1");
}

#[test]
fn path_is_respected() {
    let jar = jar(
        "https://a/work/1",
        &["a=1; Path=/work", "b=1; Path=/other", "c=1"],
    );
    assert_eq!(sent(&jar, "https://a/work/2", "", NOW), "a=1; c=1");
    assert_eq!(sent(&jar, "https://a/working", "", NOW), "");
    assert_eq!(sent(&jar, "https://a/other/", "", NOW), "b=1");
}

#[test]
fn secure_cookie_stays_off_open_connections() {
    let jar = jar("http://a/", &["a=1; Secure", "b=1"]);
    assert_eq!(sent(&jar, "http://a/", "", NOW), "b=1");
    assert_eq!(sent(&jar, "https://a/", "", NOW), "a=1; b=1");
    assert_eq!(sent(&jar, "/", "", NOW), "a=1; b=1");
}

#[test]
fn cookie_for_another_domain_is_ignored() {
    let jar = jar(
        "https://api.example.com/",
        &[
            "a=1; Domain=example.com",
            "b=1; Domain=.API.example.com",
            "c=1; Domain=other.com",
            "d=1; Domain=pi.example.com",
            "e=1; Domain=www.api.example.com",
        ],
    );
    let line = sent(&jar, "https://api.example.com/", "", NOW);
    assert_eq!(line, "a=1; b=1");
}

#[test]
fn domains_are_compared_as_hosts() {
    for (uri, set, expected) in [
        ("http://[0:0::1]/", "a=1; Domain=[::1]", "a=1"),
        ("http://[::1]/", "a=1; Domain=[::2]", ""),
        ("http://192.0.2.7/", "a=1; Domain=192.0.2.7", "a=1"),
        ("http://192.0.2.7/", "a=1; Domain=0.2.7", ""),
        ("https://example.com/", "a=1; Domain=", "a=1"),
        ("https://example.com/", "a=1; Domain=example.com.", ""),
        ("https://example.com./", "a=1; Domain=example.com", ""),
        ("https://example.com/", "a=1; Domain=..example.com", ""),
        ("HTTPS://example.com/", "a=1; Secure", "a=1"),
    ] {
        assert_eq!(
            sent(&jar(uri, &[set]), uri, "", NOW),
            expected,
            "{uri} {set}"
        );
    }
}

#[test]
fn jar_is_bounded() {
    let mut jar = Jar::default();
    let uri = Uri::from_static("https://a/");
    for number in 0..1000 {
        let mut headers = HeaderMap::new();
        let value = format!("name{number}={}", "x".repeat(1000));
        headers.append(SET_COOKIE, HeaderValue::from_str(&value).unwrap());
        jar.store(&headers, &uri, NOW);
    }
    assert!(jar.cookies.len() <= MAX_COOKIES);
    assert!(jar.bytes <= MAX_BYTES);
    jar.clear();
    for number in 0..1000 {
        let mut headers = HeaderMap::new();
        let value = format!("name{number}=1");
        headers.append(SET_COOKIE, HeaderValue::from_str(&value).unwrap());
        jar.store(&headers, &uri, NOW);
    }
    assert_eq!(jar.cookies.len(), MAX_COOKIES);
}

#[test]
fn header_is_marked_sensitive() {
    let jar = jar("https://a/", &["lb=7"]);
    let uri = Uri::from_static("https://a/");
    let value = jar.header([&b"x=1"[..]].into_iter(), &uri, NOW);
    assert!(value.is_sensitive());
}

#[test]
fn garbage_is_ignored() {
    let jar = jar("https://a/", &["", "=", ";;;", "nonsense", "=v; Path=/"]);
    assert!(jar.cookies.is_empty());
}
