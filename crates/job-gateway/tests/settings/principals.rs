//! Principals of requests and of their jobs.

use std::{fs, time::Duration};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use rustix::process::Signal;
use serde_json::Value;
use tokio::time::sleep;

use crate::{
    file::file,
    support::{
        Answer, Gateway, Upstream, send, soon,
        token::{self, issued, jwt, token, token_of},
    },
};

/// Starts a server that answers with the fields that name principals, slowly at two paths.
async fn server() -> Upstream {
    Upstream::of_requests(|request| async move {
        let field = |name: &str| {
            let value = request.headers().get(name);
            value.map_or("-".to_owned(), |value| value.to_str().unwrap().to_owned())
        };
        let fields = format!("{} {}", field("job-principal"), field("x-user"));
        match request.uri().path() {
            "/slow" => sleep(Duration::from_millis(300)).await,
            "/slower" => sleep(Duration::from_secs(3)).await,
            _ => {}
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
    let mut gateway = Gateway::before(&upstream.url(), &["--config", &path]).await;
    gateway.settings = Some(settings);
    (upstream, gateway)
}

/// Has the settings read again, and waits until an answer has a status.
async fn reload(gateway: &Gateway, field: (&str, &str), status: StatusCode) {
    gateway.signal(Signal::HUP);
    let replaced = async {
        while ask(gateway, "GET", "/", Some(field)).await.status != status {
            sleep(Duration::from_millis(10)).await;
        }
    };
    soon(replaced).await;
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
async fn a_principal_is_kept_from_a_server_that_is_not_to_know_it() {
    let (_upstream, gateway) = started(
        "trusted_proxies = [\"127.0.0.1\"]\n[defaults]\ninline_wait = \"0s\"\n\
         principal = { header = \"X-User\" }\nsend_principal = false\n",
    )
    .await;
    let (ada, bob) = (Some(("x-user", "ada")), Some(("x-user", "bob")));
    let pending = ask(&gateway, "POST", "/slow", ada).await;
    let job = pending.header("location");
    assert_eq!(
        ask(&gateway, "GET", job, bob).await.status,
        StatusCode::NOT_FOUND
    );
    sleep(Duration::from_millis(500)).await;
    assert_eq!(ask(&gateway, "GET", job, ada).await.text(), "- ada");
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

#[tokio::test]
async fn a_request_without_a_valid_token_is_refused() {
    let keys = file(&token::keys(7));
    let (_upstream, gateway) = started(&format!("[defaults]\n{}\n", jwt(keys.path()))).await;
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
    let keys = file(&token::keys(7));
    let (_upstream, gateway) = started(&format!(
        "[defaults]\ninline_wait = \"0s\"\n[[routes]]\nmatch = \"POST /slow\"\n{}\n",
        jwt(keys.path())
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
async fn keys_are_replaced_while_a_poll_is_held() {
    let keys = file(&token::keys(7));
    let settings = format!("[defaults]\ninline_wait = \"0s\"\n{}\n", jwt(keys.path()));
    let (_upstream, gateway) = started(&settings).await;
    let (old, new) = (token("ada", 300), token_of(8, "ada", 300));
    let pending = ask(&gateway, "POST", "/slower", Some(("authorization", &old))).await;
    let job = gateway.url(pending.header("location"));
    let poll = Request::get(job).header("authorization", &*old);
    let poll = poll.header("prefer", "wait=10");
    let held = tokio::spawn(send(poll.body(Full::default()).unwrap()));
    sleep(Duration::from_millis(200)).await;

    fs::write(&keys, token::keys(8)).unwrap();
    reload(&gateway, ("authorization", &old), StatusCode::UNAUTHORIZED).await;
    let accepted = ask(&gateway, "PUT", "/slow", Some(("authorization", &new))).await;
    assert_eq!(accepted.status, StatusCode::SEE_OTHER);
    assert!(!held.is_finished());
    let done = soon(held).await.unwrap();
    assert_eq!((done.status, done.text()), (StatusCode::OK, "ada -"));
    // The job is still that of the same principal.
    for (token, status) in [(&old, StatusCode::UNAUTHORIZED), (&new, StatusCode::OK)] {
        let polled = ask(
            &gateway,
            "GET",
            pending.header("location"),
            Some(("authorization", token)),
        );
        assert_eq!(polled.await.status, status);
    }
}

#[tokio::test]
async fn a_proxy_is_no_longer_trusted_after_a_reload() {
    let settings = "trusted_proxies = [\"127.0.0.1\"]\n[defaults]\ndefer = false\n\
        principal = { header = \"X-User\" }\n";
    let (_upstream, gateway) = started(settings).await;
    let ada = Some(("x-user", "ada"));
    assert_eq!(ask(&gateway, "GET", "/", ada).await.text(), "ada ada");
    // An unclear name is an error only if the proxy is trusted.
    let narrowed = settings.replace("127.0.0.1", "192.0.2.1");
    fs::write(gateway.settings.as_ref().unwrap(), narrowed).unwrap();
    reload(&gateway, ("x-user", ""), StatusCode::OK).await;
    assert_eq!(ask(&gateway, "GET", "/", ada).await.text(), "- -");
}

#[tokio::test]
async fn one_name_of_two_sources_is_two_owners() {
    let keys = file(&token::keys(7));
    let jwt = jwt(keys.path());
    let (_upstream, gateway) = started(&format!(
        "trusted_proxies = [\"127.0.0.1\"]\n[defaults]\ninline_wait = \"0s\"\n\
         principal.header = \"x-user\"\n[[routes]]\nmatch = \"POST /slow\"\n{jwt}\n\
         [[routes]]\nmatch = \"PUT /slow\"\n{}\n",
        jwt.replace("id.example", "other.example"),
    ))
    .await;
    let own = token("ada", 300);
    let other = issued("https://other.example", 7, "ada", 300);
    let own = Some(("authorization", &*own));
    let other = Some(("authorization", &*other));
    let header = Some(("x-user", "ada"));
    for (method, owner) in [("POST", own), ("PUT", other), ("DELETE", header)] {
        let pending = ask(&gateway, method, "/slow", owner).await;
        assert_eq!(pending.status, StatusCode::SEE_OTHER, "{method}");
        let job = pending.header("location");
        sleep(Duration::from_millis(500)).await;
        for asking in [own, other, header] {
            let expected = match asking == owner {
                true => StatusCode::OK,
                false => StatusCode::NOT_FOUND,
            };
            let polled = ask(&gateway, "GET", job, asking).await;
            assert_eq!(polled.status, expected, "{method} {asking:?}");
        }
        let Some((name @ "authorization", token)) = owner else {
            continue;
        };
        // The proxy names its client on all routes.
        let both = Request::get(gateway.url(job))
            .header(name, token)
            .header("x-user", "bob");
        let done = send(both.body(Full::default()).unwrap()).await;
        assert_eq!((done.status, done.text()), (StatusCode::OK, "ada -"));
    }
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
