//! The lists of the clients' own jobs.

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use serde_json::Value;

use crate::support::{Answer, Gateway, Upstream, get, send};

async fn gateway(own_jobs: bool) -> (Gateway, Upstream) {
    let server = Upstream::of_requests(|_| std::future::pending::<Response<Full<Bytes>>>()).await;
    let settings = format!(
        "own_jobs = {own_jobs}\ntrusted_proxies = [\"127.0.0.1\"]\n\
         [upstreams.app]\nurl = \"{}\"\n\
         [defaults]\ninline_wait = \"0s\"\nprincipal = {{ header = \"X-User\" }}\n\
         [[routes]]\nmatch = \"/open\"\nprincipal = \"none\"\n",
        server.url()
    );
    (Gateway::with(&settings).await, server)
}

async fn ask(gateway: &Gateway, method: &str, path: &str, user: &str) -> Answer {
    let mut request = Request::builder().method(method).uri(gateway.url(path));
    if !user.is_empty() {
        request = request.header("x-user", user);
    }
    send(request.body(Full::default()).unwrap()).await
}

fn hrefs(answer: &Answer) -> Vec<String> {
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    let list: Value = serde_json::from_slice(&answer.body).unwrap();
    let jobs = list["jobs"].as_array().unwrap().iter();
    jobs.map(|job| job["href"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn each_client_lists_its_own_jobs() {
    let (gateway, _server) = gateway(true).await;
    let mut own = Vec::new();
    for (path, user) in [
        ("/a", "ada"),
        ("/b", "bob"),
        ("/open", "ada"),
        ("/c", "ada"),
    ] {
        let pending = ask(&gateway, "POST", path, user).await;
        assert_eq!(pending.status, StatusCode::SEE_OTHER, "{pending:?}");
        let job = pending.header("location").split('?').next().unwrap();
        if user == "ada" && path != "/open" {
            own.insert(0, job.to_owned());
        }
    }
    assert_eq!(hrefs(&ask(&gateway, "GET", "/work", "ada").await), own);
    let first = ask(&gateway, "GET", "/work/?limit=1", "ada").await;
    assert_eq!(hrefs(&first), own[..1]);
    let next = first.header("link").trim_start_matches('<');
    let next = format!("/work/{}", next.split('>').next().unwrap());
    assert_eq!(hrefs(&ask(&gateway, "GET", &next, "ada").await), own[1..]);
    assert_eq!(hrefs(&ask(&gateway, "GET", "/work", "bob").await).len(), 1);
    assert!(hrefs(&ask(&gateway, "GET", "/work", "eve").await).is_empty());
    let nobody = ask(&gateway, "GET", "/work", "").await;
    assert_eq!(nobody.status, StatusCode::NOT_FOUND);
    assert_eq!(nobody.header("cache-control"), "no-store");
    let posted = ask(&gateway, "POST", "/work", "ada").await;
    assert_eq!(posted.status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(posted.header("allow"), "GET, HEAD, OPTIONS");
}

#[tokio::test]
async fn own_jobs_are_listed_by_a_setting_only() {
    let (gateway, _server) = gateway(false).await;
    ask(&gateway, "POST", "/a", "ada").await;
    for path in ["/work", "/work/"] {
        let answer = ask(&gateway, "GET", path, "ada").await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND);
        assert_eq!(answer.header("job-status"), "unknown");
    }
    let listed = get(gateway.url("/work")).await;
    assert_eq!(listed.status, StatusCode::NOT_FOUND);
}

#[cfg(feature = "jwt")]
#[tokio::test]
async fn a_token_that_is_refused_lists_nothing() {
    use crate::support::token::{jwt, keys, token};

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("keys.json");
    std::fs::write(&file, keys(7)).unwrap();
    let settings = format!(
        "own_jobs = true\n[upstreams.app]\nurl = \"http://127.0.0.1:1\"\n[defaults]\n{}\n",
        jwt(&file)
    );
    let gateway = Gateway::with(&settings).await;
    for (left, status) in [(300, StatusCode::OK), (-300, StatusCode::UNAUTHORIZED)] {
        let request =
            Request::get(gateway.url("/work")).header("authorization", token("ada", left));
        let answer = send(request.body(Full::default()).unwrap()).await;
        assert_eq!(answer.status, status, "{answer:?}");
    }
}
