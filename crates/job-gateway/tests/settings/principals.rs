//! Principals of requests and of their jobs.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use ring::hmac;
use serde_json::{Value, json};
use tempfile::NamedTempFile;
use tokio::time::sleep;

use crate::{
    file::file,
    support::{Answer, Gateway, Upstream, send},
};

/// Starts a server that answers with the fields that name principals, at one path slowly.
async fn server() -> Upstream {
    Upstream::of_requests(|request| async move {
        let field = |name: &str| {
            let value = request.headers().get(name);
            value.map_or("-".to_owned(), |value| value.to_str().unwrap().to_owned())
        };
        let fields = format!("{} {}", field("job-principal"), field("x-user"));
        if request.uri().path() == "/slow" {
            sleep(Duration::from_millis(300)).await;
        }
        Response::new(Full::from(fields))
    })
    .await
}

async fn ask(gateway: &Gateway, method: &str, path: &str, field: Option<(&str, &str)>) -> Answer {
    let mut request = Request::builder().method(method).uri(gateway.url(path));
    if let Some((name, value)) = field {
        request = request.header(name, value);
    }
    send(request.body(Full::<Bytes>::default()).unwrap()).await
}

async fn started(settings: &str) -> (Upstream, Gateway) {
    let upstream = server().await;
    let settings = file(settings);
    let path = settings.path().display().to_string();
    let gateway = Gateway::before(&upstream.url(), &["--config", &path]).await;
    (upstream, gateway)
}

#[tokio::test]
async fn a_header_of_a_trusted_proxy_names_the_owner_of_a_job() {
    let (_upstream, gateway) = started(
        "trusted_proxies = [\"127.0.0.1\"]\n[defaults]\ninline_wait = \"0s\"\n\
         principal = { header = \"X-User\" }\n",
    )
    .await;
    let (ada, bob) = (Some(("x-user", "ada")), Some(("x-user", "bob")));
    let pending = ask(&gateway, "POST", "/slow", ada).await;
    assert_eq!(pending.status, StatusCode::SEE_OTHER);
    let job = pending.header("location");
    for other in [bob, None] {
        let refused = ask(&gateway, "GET", job, other).await;
        assert_eq!(refused.status, StatusCode::NOT_FOUND);
    }
    let unclear = ask(&gateway, "POST", "/slow", Some(("x-user", ""))).await;
    assert_eq!(unclear.status, StatusCode::BAD_REQUEST);
    assert!(!unclear.headers.contains_key("www-authenticate"));
    sleep(Duration::from_millis(500)).await;
    let done = ask(&gateway, "GET", job, ada).await;
    assert_eq!(done.status, StatusCode::OK);
    assert_eq!(done.text(), "ada ada");
}

#[tokio::test]
async fn a_header_of_another_client_is_removed() {
    let (_upstream, gateway) = started(
        "trusted_proxies = [\"192.0.2.1\"]\n[defaults]\nprincipal = { header = \"X-User\" }\n",
    )
    .await;
    let answer = ask(&gateway, "GET", "/", Some(("x-user", "ada"))).await;
    assert_eq!(answer.text(), "- -");
}

fn encoded(bytes: impl AsRef<[u8]>) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

/// Returns the field with a token for a principal, which expires in `left` seconds.
fn token(principal: &str, left: i64) -> String {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs();
    let claims = json!({
        "sub": principal,
        "iss": "https://id.example",
        "aud": "reports",
        "exp": i64::try_from(now).unwrap() + left,
    });
    let message = format!(
        "{}.{}",
        encoded(r#"{"alg":"HS256"}"#),
        encoded(claims.to_string())
    );
    let key = hmac::Key::new(hmac::HMAC_SHA256, &[7; 32]);
    let signature = hmac::sign(&key, message.as_bytes());
    format!("Bearer {message}.{}", encoded(signature))
}

fn keys() -> NamedTempFile {
    file(&json!({"keys": [{"kty": "oct", "k": encoded([7; 32])}]}).to_string())
}

fn jwt(keys: &NamedTempFile) -> String {
    format!(
        "principal.jwt = {{ keys = \"{}\", issuer = \"https://id.example\", audience = \"reports\", \
         algorithms = [\"HS256\"] }}",
        keys.path().display()
    )
}

#[tokio::test]
async fn a_request_without_a_valid_token_is_refused() {
    let keys = keys();
    let (_upstream, gateway) = started(&format!("[defaults]\n{}\n", jwt(&keys))).await;
    let (valid, expired) = (token("ada", 300), token("ada", -300));
    let accepted = ask(&gateway, "GET", "/", Some(("authorization", &valid))).await;
    assert_eq!(accepted.text(), "ada -");
    for (field, challenge) in [
        (None, "Bearer"),
        (Some(("authorization", "Basic YTpi")), "Bearer"),
        (
            Some(("authorization", &*expired)),
            "Bearer error=\"invalid_token\"",
        ),
    ] {
        let refused = ask(&gateway, "GET", "/", field).await;
        assert_eq!(refused.status, StatusCode::UNAUTHORIZED);
        assert_eq!(refused.header("www-authenticate"), challenge);
        assert_eq!(refused.header("content-type"), "application/problem+json");
        assert_eq!(
            refused.header("proxy-status"),
            "job-gateway; error=http_request_denied"
        );
        let problem: Value = serde_json::from_slice(&refused.body).unwrap();
        assert_eq!(problem["status"], 401);
        assert_eq!(problem["title"], "Unauthorized");
    }
}

#[tokio::test]
async fn a_token_names_the_owner_of_a_job() {
    let keys = keys();
    let (_upstream, gateway) = started(&format!(
        "[defaults]\ninline_wait = \"0s\"\n[[routes]]\nmatch = \"POST /slow\"\n{}\n",
        jwt(&keys)
    ))
    .await;
    let (ada, bob, expired) = (token("ada", 300), token("bob", 300), token("ada", -300));
    let pending = ask(&gateway, "POST", "/slow", Some(("authorization", &ada))).await;
    assert_eq!(pending.status, StatusCode::SEE_OTHER);
    let job = pending.header("location");
    for (field, status) in [
        (None, StatusCode::NOT_FOUND),
        (Some(("authorization", &*bob)), StatusCode::NOT_FOUND),
        (Some(("authorization", &*expired)), StatusCode::UNAUTHORIZED),
    ] {
        assert_eq!(ask(&gateway, "GET", job, field).await.status, status);
    }
    sleep(Duration::from_millis(500)).await;
    let done = ask(&gateway, "GET", job, Some(("authorization", &ada))).await;
    assert_eq!(done.text(), "ada -");

    // A job of a route without principals is polled with a token that is for its server alone.
    let own = Some(("authorization", "Bearer own"));
    let pending = ask(&gateway, "PUT", "/slow", own).await;
    assert_eq!(pending.status, StatusCode::SEE_OTHER);
    sleep(Duration::from_millis(500)).await;
    let done = ask(&gateway, "GET", pending.header("location"), own).await;
    assert_eq!(done.text(), "- -");
}

#[tokio::test]
async fn a_header_of_one_route_cannot_be_set_on_another() {
    let (_upstream, gateway) = started(
        "trusted_proxies = [\"192.0.2.1\"]\n[[routes]]\nmatch = \"/report\"\n\
         principal = { header = \"X-User\" }\n",
    )
    .await;
    // Servers may take each of these for the route.
    for path in ["/report", "//report", "/report/", "/Report"] {
        let answer = ask(&gateway, "GET", path, Some(("x-user", "admin"))).await;
        assert_eq!(answer.text(), "- -", "{path}");
    }
}
