//! Readiness, and services that are particular about it.

use std::time::Duration;

use http::{Request, Response};
use tokio::time::Instant;
use tokio_test::{assert_pending, assert_ready_ok, task};
use tower::{Layer, ServiceBuilder, ServiceExt, limit::ConcurrencyLimitLayer};
use tower_poll::PollLayer;
use tower_test::mock;

use crate::common::{Script, TestBody, answer, exact_layer, post, see_other, send};

const URL: &str = "https://example.com/report";

fn twice() -> Script {
    Script::new(|_, request| match request.uri().query() {
        None => see_other("/work?1"),
        Some("1") => see_other("/work?2"),
        _ => answer(200, &[]),
    })
}

#[tokio::test(start_paused = true)]
async fn readiness_is_that_of_the_service_beneath() {
    let (mut service, mut handle) =
        mock::spawn_layer::<Request<TestBody>, Response<TestBody>, _>(PollLayer::new());
    handle.allow(0);
    assert_pending!(service.poll_ready());
    handle.allow(1);
    assert_ready_ok!(service.poll_ready());
}

#[tokio::test(start_paused = true)]
async fn service_is_never_called_unready() {
    // `Script` panics when it is.
    let script = twice();
    send(exact_layer(), &script, post(URL)).await.unwrap();
    assert_eq!(script.count(), 3);
}

#[tokio::test(start_paused = true)]
async fn buffer_of_one_beneath_serves_many_calls() {
    let script = twice();
    let service = ServiceBuilder::new()
        .layer(exact_layer())
        .buffer(1)
        .service(script.clone());
    let calls: Vec<_> = (0..8)
        .map(|_| tokio::spawn(service.clone().oneshot(post(URL))))
        .collect();
    for call in calls {
        assert_eq!(call.await.unwrap().unwrap().status(), 200);
    }
    assert_eq!(script.count(), 24);
}

#[tokio::test(start_paused = true)]
async fn waiting_call_holds_no_place_in_the_service_beneath() {
    let script = Script::new(|_, request| match request.uri().path() {
        "/report" => see_other("/work"),
        _ => answer(200, &[]),
    });
    let service = ServiceBuilder::new()
        .layer(exact_layer())
        .layer(ConcurrencyLimitLayer::new(1))
        .service(script);
    let mut waiting = task::spawn(service.clone().oneshot(post(URL)));
    assert_pending!(waiting.poll());
    let start = Instant::now();
    service
        .oneshot(post("https://example.com/other"))
        .await
        .unwrap();
    assert_eq!(start.elapsed(), Duration::ZERO);
    waiting.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn poll_waits_for_readiness_and_only_until_the_deadline() {
    let (service, mut handle) = mock::pair::<Request<TestBody>, Response<TestBody>>();
    let layer = exact_layer().deadline(Duration::from_secs(30));
    let start = Instant::now();
    handle.allow(1);
    let call = tokio::spawn(layer.layer(service).oneshot(post(URL)));
    let (_, respond) = handle.next_request().await.unwrap();
    handle.allow(0);
    respond.send_response(see_other("/work/1").unwrap());
    let error = call.await.unwrap().unwrap_err();
    assert!(error.is_deadline());
    assert_eq!(start.elapsed(), Duration::from_secs(30));
    assert_eq!(error.pending_job().unwrap().url().path(), "/work/1");
}
