use super::*;

fn same(a: &str, b: &str) -> bool {
    let (a, b): (Uri, Uri) = (a.parse().unwrap(), b.parse().unwrap());
    assert_eq!(same_origin(&a, &b), same_origin(&b, &a), "not symmetric");
    same_origin(&a, &b)
}

#[test]
fn defaults_and_case_do_not_matter() {
    assert!(same("https://example.com/a?b", "https://EXAMPLE.COM:443/c"));
    assert!(same("http://example.com", "HTTP://example.com:80"));
    assert!(same("http://example.com:/", "http://example.com/"));
    assert!(same("http://[::1]/", "http://[::1]:80/"));
    assert!(same("http://1:1/", "http://1:1/"));
}

#[test]
fn spellings_of_an_ipv6_address_do_not_matter() {
    assert!(same("http://[::1]/", "http://[0:0:0:0:0:0:0:1]:80/"));
    assert!(same(
        "https://[2001:DB8::a]/",
        "https://[2001:0db8:0::000A]/"
    ));
    assert!(same(
        "http://[::ffff:192.0.2.1]/",
        "http://[::ffff:c000:201]/"
    ));
    assert!(same("http://me@[::1]/", "http://[0::1]/"));
    assert!(!same("http://[::1]/", "http://[::1:0]/"));
    assert!(!same("http://[::ffff:192.0.2.1]/", "http://192.0.2.1/"));
    assert!(!same("http://[::1]:81/", "http://[0::1]/"));
}

#[test]
fn spellings_of_a_port_do_not_matter() {
    assert!(same("http://example.com:0080/", "http://example.com/"));
    assert!(same("https://example.com:00443/", "https://example.com:"));
}

#[test]
fn address_that_is_written_as_a_number_is_another_host() {
    assert!(!same("http://127.1/", "http://127.0.0.1/"));
    assert!(!same("http://2130706433/", "http://127.0.0.1/"));
}

#[test]
fn c04_another_port_or_scheme_is_another_origin() {
    assert!(!same("https://example.com/", "https://example.com:8443/"));
    assert!(!same("https://example.com/", "http://example.com/"));
    assert!(!same("https://example.com/", "http://example.com:443/"));
    assert!(!same("http://[::1]/", "http://[::1]:81/"));
    assert!(!same("http://1:1/", "http://1/"));
}

#[test]
fn another_host_is_another_origin() {
    assert!(!same("https://example.com/", "https://www.example.com/"));
    assert!(!same("https://example.com/", "https://example.com./"));
    assert!(!same("http://[::1]/", "http://[::2]/"));
}

#[test]
fn user_names_belong_to_no_origin() {
    assert!(same(
        "https://me:secret@example.com/",
        "https://example.com/"
    ));
    assert!(!same(
        "https://example.com@other.example/",
        "https://example.com/"
    ));
}

#[test]
fn c26_path_only_is_an_origin_of_its_own() {
    assert!(same("/package.Service/Method", "/work/1"));
    assert!(!same("/work/1", "https://example.com/work/1"));
}

#[test]
fn what_has_no_origin_is_the_same_as_nothing() {
    assert!(!same("example.com:443", "example.com:443"));
    assert!(!same(
        "http://example.com:99999/",
        "http://example.com:99999/"
    ));
    assert!(!same("http://example.com:99999/", "http://example.com/"));
}

#[test]
fn c02_only_https_to_http_is_a_downgrade() {
    let downgrade = |from: &'static str, to: &'static str| {
        is_downgrade(&Uri::from_static(from), &Uri::from_static(to))
    };
    assert!(downgrade("https://a/", "http://b/"));
    assert!(downgrade("HTTPS://a/", "HTTP://a/"));
    assert!(!downgrade("https://a/", "https://b/"));
    assert!(!downgrade("http://a/", "http://a/"));
    assert!(!downgrade("/a", "http://a/"));
}
