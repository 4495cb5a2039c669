use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};

use super::*;
use crate::exchange::Head;

fn fill(format: &str, error: Option<&str>) -> (String, String) {
    let code = match error {
        None => Code::Success,
        Some(_) => Code::Other,
    };
    fill_with(format, code, error)
}

fn fill_with(format: &str, code: Code, error: Option<&str>) -> (String, String) {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    headers.insert(LOCATION, HeaderValue::from_static("../b"));
    headers.insert("x-bad", HeaderValue::from_bytes(b"\xc2\x9b31m").unwrap());
    let exchange = Exchange {
        polls: 2,
        first_url: Some(Uri::from_static("http://a.example/")),
        submission: None,
        method: Method::GET,
        url: Uri::from_static("http://a.example/c/d"),
        answer: Some(Head {
            status: StatusCode::OK,
            version: Version::HTTP_2,
            headers,
        }),
        downloaded: 7,
    };
    let written = Format(format.to_owned()).fill(&Facts {
        exchange: &exchange,
        code,
        error,
        took: Duration::from_millis(1500),
    });
    (written.stdout, written.stderr)
}

#[test]
fn variables_are_those_of_curl() {
    for (format, expected) in [
        ("%{http_code} %{response_code}\\n", "200 200\n"),
        (
            "%{content_type}|%header{content-type}|%header{x-none}",
            "text/plain|text/plain|",
        ),
        (
            "%{url} %{url_effective}",
            "http://a.example/ http://a.example/c/d",
        ),
        ("%{redirect_url}", "http://a.example/b"),
        ("%{size_download}\\t%{time_total}", "7\t1.500000"),
        (
            "%{num_polls} %{method} %{scheme} %{http_version} %{exitcode}",
            "2 GET http 2 0",
        ),
        ("100%% %x %{http_code", "100% %x %{http_code"),
        ("\\x ä \\", "\\x ä \\"),
        ("%header{x-bad}", "\u{fffd}31m"),
    ] {
        assert_eq!(
            fill(format, None),
            (expected.to_owned(), String::new()),
            "{format}"
        );
    }
}

#[test]
fn text_goes_where_it_is_wanted() {
    let format = "a%{stderr}b%{stdout}c%{onerror}d %{errormsg}";
    assert_eq!(fill(format, None), ("ac".to_owned(), "b".to_owned()));
    assert_eq!(
        fill(format, Some("no")),
        ("acd no".to_owned(), "b".to_owned())
    );
    // A final 404 is a failure without a message.
    assert_eq!(
        fill_with("%{onerror}%{exitcode}", Code::HttpError, None).0,
        "22"
    );
    let (stdout, stderr) = fill("a%{nonsense}b", None);
    assert_eq!(stdout, "ab");
    assert!(stderr.contains("'nonsense'"));
}
