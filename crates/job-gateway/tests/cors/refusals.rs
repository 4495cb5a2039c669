//! Refusals and failures: a page reads the reason.

use http::{Request, StatusCode};
use http_body_util::Full;
use tempfile::NamedTempFile;

use crate::{
    page::{APP, FOREIGN, assert_allows, assert_readable, assert_unreadable, fetch, preflight},
    server::server,
    support::{Answer, Gateway, send, soon},
};

const KEYS: &str =
    r#"{"keys": [{"kty": "oct", "k": "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc"}]}"#;

fn is_problem(answer: &Answer, status: StatusCode) {
    assert_eq!(answer.status, status, "{answer:?}");
    assert_eq!(answer.header("content-type"), "application/problem+json");
}

#[tokio::test]
async fn a_preflight_needs_no_principal_and_a_page_reads_that_a_request_does() {
    let (upstream, received) = server().await;
    let keys = NamedTempFile::new().unwrap();
    std::fs::write(&keys, KEYS).unwrap();
    let settings = format!(
        "[upstreams.app]\nurl = \"{}\"\n[defaults]\ncors.origins = [\"{APP}\"]\n\
         principal.jwt = {{ keys = \"{}\", issuer = \"https://id.example\", audience = \"a\", \
         algorithms = [\"HS256\"] }}\n",
        upstream.url(),
        keys.path().display()
    );
    let gateway = Gateway::with(&settings).await;
    let allowed = preflight(&gateway, APP, "POST /", "authorization").await;
    assert_allows(&allowed, APP, "POST", &["authorization"]);
    let refused = fetch(&gateway, APP, "POST /", &[]).await;
    is_problem(&refused, StatusCode::UNAUTHORIZED);
    assert_readable(&refused, APP);
    let foreign = preflight(&gateway, FOREIGN, "POST /", "authorization").await;
    assert_eq!(foreign.status, StatusCode::NO_CONTENT);
    assert_unreadable(&foreign);
    assert_unreadable(&fetch(&gateway, FOREIGN, "POST /", &[]).await);

    // A job that is not there, and one whose token is refused.
    let job = "GET /work/0123456789abcdef0123456789abcdef";
    for (field, status) in [
        (vec![], StatusCode::NOT_FOUND),
        (
            vec![("authorization", "Bearer a.b.c")],
            StatusCode::UNAUTHORIZED,
        ),
    ] {
        let answer = fetch(&gateway, APP, job, &field).await;
        is_problem(&answer, status);
        assert_readable(&answer, APP);
        assert_unreadable(&fetch(&gateway, FOREIGN, job, &field).await);
    }
    assert_eq!(received.all(), [""; 0]);
}

#[tokio::test]
async fn a_page_reads_why_a_request_has_failed() {
    let (upstream, _received) = server().await;
    let settings = format!(
        "[upstreams.app]\nurl = \"{}\"\nconcurrency = 1\nqueue = 0\n\
         [upstreams.none]\nurl = \"http://127.0.0.1:9\"\n\
         [defaults]\nupstream = \"app\"\ncors.origins = [\"{APP}\"]\nrequest_spool = \"1KiB\"\n\
         [[routes]]\nmatch = \"/none\"\nupstream = \"none\"\n",
        upstream.url()
    );
    let gateway = Gateway::with(&settings).await;
    for (line, status) in [
        ("GET /none", StatusCode::BAD_GATEWAY),
        ("GET /a/%2e%2e/b", StatusCode::BAD_REQUEST),
    ] {
        let answer = fetch(&gateway, APP, line, &[]).await;
        is_problem(&answer, status);
        assert_readable(&answer, APP);
        assert_unreadable(&fetch(&gateway, FOREIGN, line, &[]).await);
    }

    let long = Request::post(gateway.url("/")).header("origin", APP);
    let long = long.header("idempotency-key", "\"a\"");
    let refused = send(long.body(Full::from(vec![0; 4096])).unwrap()).await;
    is_problem(&refused, StatusCode::PAYLOAD_TOO_LARGE);
    assert_readable(&refused, APP);

    let (one, other) = tokio::join!(
        soon(fetch(&gateway, APP, "GET /slow", &[])),
        soon(fetch(&gateway, APP, "GET /slow", &[]))
    );
    let mut answers = [one, other];
    answers.sort_by_key(|answer| answer.status);
    assert_eq!(answers[0].status, StatusCode::OK);
    is_problem(&answers[1], StatusCode::SERVICE_UNAVAILABLE);
    for answer in answers {
        assert_readable(&answer, APP);
    }
}
