//! Gateways before gateways.

use http::{Request, StatusCode};

use crate::{
    jobs::{accepted, result, settings, status},
    support::{Gateway, Upstream, full, get, send},
};

/// Returns a server whose work takes a second, and a gateway before it.
async fn inner() -> (Upstream, Gateway) {
    let upstream = Upstream::of_requests(|request| async move {
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        let hops = request.headers().get_all("via").iter();
        let hops: Vec<_> = hops.map(|hop| hop.to_str().unwrap()).collect();
        http::Response::new(full(hops.join(", ")))
    });
    let upstream = upstream.await;
    let gateway = Gateway::before(&upstream.url(), &["--inline-wait", "100ms"]).await;
    (upstream, gateway)
}

#[tokio::test]
async fn a_gateway_follows_the_jobs_of_another_one() {
    let (_upstream, inner) = inner().await;
    let settings = settings(&inner.url(""), "inline_wait = \"0s\"");
    let outer = Gateway::with(&format!("name = \"edge\"\n{settings}")).await;
    let job = accepted(&outer, "/slow").await;
    assert_eq!(status(&outer, &job).await["state"], "running");
    let answer = result(&outer, &job).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.text(), "1.1 edge, 1.1 job-gateway");
    assert_eq!(answer.header("job-status"), "done");
}

#[tokio::test]
async fn gateways_of_one_name_are_a_loop() {
    let (_upstream, inner) = inner().await;
    let outer = Gateway::with(&settings(&inner.url(""), "")).await;
    let answer = get(outer.url("/")).await;
    assert_eq!(answer.status, StatusCode::LOOP_DETECTED);
    assert!(answer.text().contains("`name`"), "{answer:?}");
    let settings = settings(&inner.url(""), "");
    let outer = Gateway::with(&format!("name = \"edge\"\n{settings}")).await;
    let back = Request::get(outer.url("/")).header("via", "1.1 a, 1.1 edge");
    let answer = send(back.body("".into()).unwrap()).await;
    assert_eq!(answer.status, StatusCode::LOOP_DETECTED);
    assert_eq!(
        answer.header("proxy-status"),
        "edge; error=proxy_loop_detected"
    );
}
