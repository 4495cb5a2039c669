//! Clients who know nothing of each other, and share a gateway.

use std::time::Duration;

use http::{Request, Response, StatusCode};
use http_body_util::Full;
use tokio::time::sleep;

use crate::support::{Answer, Gateway, Upstream, send};

/// Returns a server that answers a request after the time, and with the bytes, that its path has.
async fn server() -> Upstream {
    Upstream::of_requests(|request| async move {
        let mut numbers = request.uri().path().split('/').skip(1);
        let mut next = || numbers.next().unwrap().parse::<usize>().unwrap();
        sleep(Duration::from_millis(next() as u64)).await;
        let host = request.headers()["host"].to_str().unwrap();
        Response::new(Full::from(host.repeat(next())))
    })
    .await
}

async fn post(gateway: &Gateway, path: &str, fields: &[(&'static str, &str)]) -> Answer {
    let mut request = Request::post(gateway.url(path));
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    send(request.body("{}".into()).unwrap()).await
}

#[tokio::test]
async fn a_client_that_fills_the_store_costs_others_no_answer() {
    let server = server().await;
    let folder = tempfile::tempdir().unwrap();
    for store in [
        "memory".to_owned(),
        format!("sqlite:{}", folder.path().join("jobs.db").display()),
    ] {
        let settings = format!(
            "store = \"{store}\"\nmax_bytes = \"1MiB\"\n[upstreams.app]\nurl = \"{}\"\n\
            [defaults]\ninline_wait = \"200ms\"\n",
            server.url()
        );
        let gateway = Gateway::with(&settings).await;
        let mut jobs = Vec::new();
        for _ in 0..8 {
            let answer = post(&gateway, "/300/200000", &[("host", "x")]).await;
            if answer.status == StatusCode::SEE_OTHER {
                jobs.push(answer.header("location").to_owned());
            }
        }
        assert!(jobs.len() >= 4, "{jobs:?}");
        sleep(Duration::from_millis(500)).await;
        for path in ["/0/1", "/300/150000"] {
            let answer = post(&gateway, path, &[("host", "y")]).await;
            // Without room for a result, it is answered on its own connection.
            assert_eq!(answer.status, StatusCode::OK, "{store} {path} {answer:?}");
        }
        let head = Request::head(gateway.url(&jobs[0]));
        let first = send(head.body(Full::default()).unwrap()).await;
        assert_eq!(first.status, StatusCode::OK, "{store}");
    }
}

#[tokio::test]
async fn one_key_at_two_hosts_gets_no_answer_of_the_other() {
    let server = server().await;
    let gateway = Gateway::before(&server.url(), &[]).await;
    let keyed = async |host| {
        post(
            &gateway,
            "/0/1",
            &[("host", host), ("idempotency-key", "7")],
        )
        .await
    };
    let shop = keyed("shop.example").await;
    assert_eq!((shop.status, shop.text()), (StatusCode::OK, "shop.example"));
    let blog = keyed("blog.example").await;
    assert_eq!(blog.status, StatusCode::UNPROCESSABLE_ENTITY);
    let again = keyed("shop.example:80").await;
    assert_eq!(again.text(), "shop.example");
}
