//! A page of some origin, as a browser lets it ask and read.

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;

use crate::support::{Answer, Gateway, send};

pub(crate) const APP: &str = "https://app.example";
pub(crate) const FOREIGN: &str = "https://evil.example";

/// The fields that a page may read of the answers about its job.
const OF_JOBS: [&str; 8] = [
    "location",
    "content-location",
    "retry-after",
    "retry-after-ms",
    "job-status",
    "preference-applied",
    "link",
    "proxy-status",
];

/// Sends a request of a page.
pub(crate) async fn fetch(
    gateway: &Gateway,
    origin: &str,
    line: &str,
    fields: &[(&str, &str)],
) -> Answer {
    let (method, path) = line.split_once(' ').unwrap();
    let mut request = Request::builder().method(method).uri(gateway.url(path));
    request = request.header("origin", origin);
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    let body = match method {
        "POST" => Bytes::from("{\"pages\": 300}"),
        _ => Bytes::new(),
    };
    send(request.body(Full::new(body)).unwrap()).await
}

/// Asks whether a page may send a request with fields that are not safe.
pub(crate) async fn preflight(gateway: &Gateway, origin: &str, line: &str, fields: &str) -> Answer {
    let (method, path) = line.split_once(' ').unwrap();
    let asked = [
        ("access-control-request-method", method),
        ("access-control-request-headers", fields),
    ];
    fetch(gateway, origin, &format!("OPTIONS {path}"), &asked).await
}

/// Returns the members of a field that is a list, in small letters.
fn list(answer: &Answer, name: &str) -> Vec<String> {
    let values = answer.headers.get_all(name).iter();
    let values = values.flat_map(|value| value.to_str().unwrap().split(','));
    values.map(|member| member.trim().to_lowercase()).collect()
}

/// Returns whether a page that sends credentials may read an answer.
pub(crate) fn may_read(answer: &Answer, origin: &str) -> bool {
    let of = |name: &str| answer.headers.get_all(name).iter().collect::<Vec<_>>();
    of("access-control-allow-origin") == [origin]
        && of("access-control-allow-credentials") == ["true"]
}

/// Checks that a page may send the request that it has asked for.
pub(crate) fn assert_allows(answer: &Answer, origin: &str, method: &str, fields: &[&str]) {
    assert_eq!(answer.status, 204, "{answer:?}");
    assert!(may_read(answer, origin), "{answer:?}");
    assert_eq!(
        list(answer, "access-control-allow-methods"),
        [method.to_lowercase()]
    );
    assert_eq!(list(answer, "access-control-allow-headers"), fields);
    assert_eq!(answer.header("access-control-max-age"), "600");
    let asked = [
        "access-control-request-method",
        "access-control-request-headers",
        "origin",
    ];
    assert_eq!(list(answer, "vary"), asked);
}

/// Checks that a page may read an answer with the fields of its job, and that a cache knows so.
pub(crate) fn assert_readable(answer: &Answer, origin: &str) {
    assert!(may_read(answer, origin), "{answer:?}");
    let exposed = list(answer, "access-control-expose-headers");
    for name in OF_JOBS {
        assert!(exposed.iter().any(|field| field == name), "{name}");
    }
    assert_eq!(varies_by_origin(answer), 1, "{answer:?}");
}

/// Checks that no page may read an answer, and that a cache keeps it from those that may.
pub(crate) fn assert_unreadable(answer: &Answer) {
    let mut names = answer.headers.keys();
    let found = names.find(|name| name.as_str().starts_with("access-control-"));
    assert_eq!(found, None, "{answer:?}");
    assert_eq!(varies_by_origin(answer), 1, "{answer:?}");
}

/// Returns the fields of an answer that a page may read by the server's word.
pub(crate) fn exposes(answer: &Answer, name: &str) -> bool {
    list(answer, "access-control-expose-headers").contains(&name.to_owned())
}

fn varies_by_origin(answer: &Answer) -> usize {
    let names = list(answer, "vary");
    names.iter().filter(|name| *name == "origin").count()
}

/// Returns an answer of a server that lets all pages read it.
pub(crate) fn open_to_all(body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let response = Response::builder()
        .header("access-control-allow-origin", "*")
        .header("access-control-allow-methods", "GET")
        .header("access-control-expose-headers", "X-Total")
        .header("vary", "Accept-Language")
        .header("x-total", "3");
    response.body(Full::new(body.into())).unwrap()
}
