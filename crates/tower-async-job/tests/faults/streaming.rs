//! Answers that stream within the inline wait.

use std::{convert::Infallible, sync::Arc};

use crate::{
    faulty, store,
    support::{Body, SECOND, Stream, call, post, stream, upload},
};
use http::{Request, Response, StatusCode};
use http_body::Body as _;
use http_body_util::BodyExt;
use tokio::time::sleep;
use tower::{Layer, service_fn};
use tower_async_job::{AsyncJobLayer, JobBody};

#[tokio::test(start_paused = true)]
async fn s63_streaming_upload_is_echoed_inline() {
    let inner = service_fn(|request: Request<JobBody<Stream>>| async {
        Ok::<_, Infallible>(Response::new(request.into_body()))
    });
    let service = AsyncJobLayer::new().layer(inner);
    let (mut sender, body) = stream();
    let response = call(&service, upload("/echo", body)).await;
    let mut echoed = response.into_body();
    for _ in 0..5 {
        sender.send_data("ping".into()).await.expect("read");
        let frame = echoed
            .frame()
            .await
            .expect("not at its end")
            .expect("whole");
        assert_eq!(frame.into_data().expect("data"), "ping");
        sleep(SECOND).await;
    }
    drop(sender);
    assert!(echoed.frame().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn s63_echo_that_begins_after_the_inline_wait_streams_inline_too() {
    let inner = service_fn(|request: Request<JobBody<Stream>>| async {
        sleep(3 * SECOND).await;
        Ok::<_, Infallible>(Response::new(request.into_body()))
    });
    let service = AsyncJobLayer::new().layer(inner);
    let (mut sender, body) = stream();
    sender.send_data("first ".into()).await.expect("read");
    let response = call(&service, upload("/echo", body)).await;
    assert_eq!(response.status(), StatusCode::OK);
    let sending = tokio::spawn(async move {
        sleep(SECOND).await;
        sender.send_data("second".into()).await.expect("read");
    });
    let echoed = tokio::time::timeout(60 * SECOND, response.into_body().collect()).await;
    let echoed = echoed
        .expect("nobody reads the upload any more")
        .expect("whole");
    assert_eq!(echoed.to_bytes(), "first second");
    sending.await.expect("no panic");
}

#[tokio::test(start_paused = true)]
async fn s57_event_stream_whose_head_comes_in_time_streams_inline() {
    let store = Arc::new(store());
    let layer = faulty(&store).build().expect("valid");
    let (mut sender, body) = stream();
    let body = Arc::new(std::sync::Mutex::new(Some(body)));
    let inner = service_fn(move |_: Request<JobBody<Body>>| {
        let body = body
            .lock()
            .expect("unpoisoned")
            .take()
            .expect("called once");
        async move { Ok::<_, Infallible>(Response::new(body)) }
    });
    let mut events = call(&layer.layer(inner), post("/events")).await.into_body();
    for _ in 0..10 {
        sleep(10 * SECOND).await;
        sender.send_data("data: x\n\n".into()).await.expect("read");
        assert_eq!(
            events
                .frame()
                .await
                .expect("more")
                .expect("whole")
                .into_data()
                .expect("data"),
            "data: x\n\n"
        );
    }
    assert!(!events.is_end_stream());
    assert_eq!(store.all_calls(), 0);
}
