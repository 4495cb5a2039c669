//! Jobs of pages: preflight, pending answer, polls, result and cancellation.

use std::time::Duration;

use http::{Request, StatusCode};
use tokio::time::sleep;

use crate::{
    page::{
        APP, FOREIGN, assert_allows, assert_readable, assert_unreadable, exposes, fetch, may_read,
        preflight,
    },
    server::{Received, server},
    support::{Answer, Gateway, Upstream, send},
};

const OTHER: &str = "http://localhost:3000";

async fn started() -> (Upstream, Received, Gateway) {
    let (upstream, received) = server().await;
    let settings = format!(
        "[upstreams.app]\nurl = \"{}\"\n[defaults]\ninline_wait = \"50ms\"\n\
         [[routes]]\nmatch = \"POST /slow/{{id}}\"\npending_status = 202\n\
         cors.origins = [\"{APP}\"]\n\
         [[routes]]\nmatch = \"/shared/{{*rest}}\"\ncors.origins = [\"{APP}\", \"{OTHER}\"]\n",
        upstream.url()
    );
    let gateway = Gateway::with(&settings).await;
    (upstream, received, gateway)
}

/// Polls a job for its result.
async fn result(gateway: &Gateway, origin: &str, job: &str) -> Answer {
    sleep(Duration::from_millis(600)).await;
    let done = fetch(gateway, origin, &format!("GET {job}"), &[]).await;
    assert_eq!(done.status, StatusCode::OK);
    done
}

#[tokio::test]
async fn a_page_submits_a_job_polls_it_and_reads_its_result() {
    let (_upstream, received, gateway) = started().await;
    let fields = "content-type,idempotency-key,prefer";
    let names = ["content-type", "idempotency-key", "prefer"];
    let allowed = preflight(&gateway, APP, "POST /slow/7", fields).await;
    assert_allows(&allowed, APP, "POST", &names);
    assert_eq!(received.all(), [""; 0]);

    let key = [("idempotency-key", "\"a\""), ("prefer", "respond-async")];
    let pending = fetch(&gateway, APP, "POST /slow/7", &key).await;
    assert_eq!(pending.status, StatusCode::ACCEPTED);
    assert_readable(&pending, APP);
    let job = pending.header("location");

    let allowed = preflight(&gateway, APP, &format!("GET {job}"), "prefer").await;
    assert_allows(&allowed, APP, "GET", &["prefer"]);
    let poll = fetch(
        &gateway,
        APP,
        &format!("GET {job}"),
        &[("prefer", "wait=0")],
    )
    .await;
    assert_eq!(poll.header("job-status"), "running");
    assert_readable(&poll, APP);

    let done = result(&gateway, APP, job).await;
    assert_eq!(done.text(), "POST /slow/7");
    assert_readable(&done, APP);
    assert!(exposes(&done, "x-total"));
    // A page of another origin reads nothing, neither of the result nor of the same request again.
    let foreign = result(&gateway, FOREIGN, job).await;
    assert_unreadable(&foreign);
    let again = fetch(&gateway, APP, "POST /slow/7", &key).await;
    assert_eq!(again.text(), "POST /slow/7");
    assert_readable(&again, APP);
    let foreign = fetch(&gateway, FOREIGN, "POST /slow/7", &key).await;
    assert_unreadable(&foreign);
    assert_eq!(received.all(), ["POST /slow/7"]);
}

#[tokio::test]
async fn a_page_cancels_its_job() {
    let (_upstream, _received, gateway) = started().await;
    let pending = fetch(&gateway, APP, "POST /slow/7", &[]).await;
    let job = format!("DELETE {}", pending.header("location"));
    assert_unreadable(&preflight(&gateway, FOREIGN, &job, "prefer").await);
    let allowed = preflight(&gateway, APP, &job, "prefer").await;
    assert_allows(&allowed, APP, "DELETE", &["prefer"]);
    let cancelled = fetch(&gateway, APP, &job, &[]).await;
    assert!(cancelled.status.is_success(), "{cancelled:?}");
    assert_readable(&cancelled, APP);
}

#[tokio::test]
async fn a_replay_is_for_the_origin_that_asks_for_it() {
    let (_upstream, received, gateway) = started().await;
    let key = [("idempotency-key", "\"a\"")];
    for origin in [APP, OTHER, APP] {
        let answer = fetch(&gateway, origin, "POST /shared/1", &key).await;
        assert_eq!(answer.text(), "POST /shared/1");
        assert_readable(&answer, origin);
    }
    assert_eq!(received.all(), ["POST /shared/1"]);
    // Each route has its own origins, and jobs those of all.
    assert_unreadable(&fetch(&gateway, OTHER, "POST /slow/7", &[]).await);
    let pending = fetch(&gateway, APP, "POST /slow/7", &[]).await;
    let done = result(&gateway, OTHER, pending.header("location")).await;
    assert_readable(&done, OTHER);
}

#[tokio::test]
async fn the_servers_own_fields_pass_where_a_route_has_no_origins() {
    let (_upstream, received, gateway) = started().await;
    let is_the_servers = |answer: &Answer| {
        assert_eq!(answer.header("access-control-allow-origin"), "*");
        assert_eq!(answer.header("access-control-allow-methods"), "GET");
        assert_eq!(answer.header("access-control-expose-headers"), "X-Total");
        assert_eq!(answer.header("vary"), "Accept-Language");
        assert!(!may_read(answer, APP));
    };
    is_the_servers(&preflight(&gateway, APP, "PUT /slow/7", "prefer").await);
    assert_eq!(received.all(), ["OPTIONS /slow/7"]);
    is_the_servers(&fetch(&gateway, APP, "GET /quick", &[]).await);
    let pending = fetch(&gateway, APP, "PUT /slow/7", &[]).await;
    assert_eq!(pending.status, StatusCode::SEE_OTHER);
    assert!(!pending.headers.contains_key("access-control-allow-origin"));
    is_the_servers(&result(&gateway, APP, pending.header("location")).await);
}

#[tokio::test]
async fn other_options_are_the_servers() {
    let (_upstream, _received, gateway) = started().await;
    let answer = fetch(&gateway, APP, "OPTIONS /shared/1", &[]).await;
    assert_eq!(answer.text(), "OPTIONS /shared/1");
    assert_readable(&answer, APP);
    let request = Request::options(gateway.url("/shared/1"));
    let request = request.header("access-control-request-method", "POST");
    let answer = send(request.body(http_body_util::Full::default()).unwrap()).await;
    assert_eq!(answer.text(), "OPTIONS /shared/1");
    assert_unreadable(&answer);
}
