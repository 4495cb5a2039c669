//! The future dropped in each of its states leaves nothing behind.

use std::{future::Future, io, time::Duration};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody, combinators::BoxBody};
use tokio::time;
use tokio_test::{assert_pending, assert_ready, assert_ready_ok, task};
use tower::{Layer, ServiceExt};
use tower_poll::Error;
use tower_test::mock;

use crate::common::{TestBody, exact_layer, post};

type AnyBody = BoxBody<Bytes, io::Error>;
type Handle = mock::Handle<Request<TestBody>, Response<AnyBody>>;

const PENDING: &[(&str, &str)] = &[("location", "/work/1"), ("retry-after", "1")];
const FAILED: &[(&str, &str)] = &[
    ("job-status", "failed"),
    ("content-type", "application/problem+json"),
];

/// A body that never says that it has ended.
fn endless() -> AnyBody {
    StreamBody::new(futures_util::stream::pending::<
        Result<Frame<Bytes>, io::Error>,
    >())
    .boxed()
}

fn empty() -> AnyBody {
    TestBody::default().map_err(|never| match never {}).boxed()
}

fn response(status: u16, headers: &[(&str, &str)], body: AnyBody) -> Response<AnyBody> {
    let mut response = Response::builder().status(status);
    for (name, value) in headers {
        response = response.header(*name, *value);
    }
    response.body(body).unwrap()
}

/// A call whose submission has been sent, and the mock that has it.
fn call() -> (
    task::Spawn<impl Future<Output = Result<Response<AnyBody>, Error>>>,
    Handle,
) {
    let (service, handle) = mock::pair();
    let service = exact_layer().layer(service);
    let mut call = task::spawn(service.oneshot(post("https://example.com/report")));
    assert_pending!(call.poll());
    (call, handle)
}

/// Takes the next request and answers it.
fn serve(handle: &mut Handle, path: &str, response: Response<AnyBody>) {
    let (request, respond) = assert_ready!(handle.poll_request()).unwrap();
    assert_eq!(request.uri().path(), path);
    respond.send_response(response);
}

/// With every service and future dropped, no poll can be sent.
async fn assert_gone(mut handle: Handle) {
    time::sleep(Duration::from_secs(100)).await;
    assert!(assert_ready!(handle.poll_request()).is_none());
}

#[tokio::test(start_paused = true)]
async fn dropped_while_the_submission_is_under_way() {
    let (call, mut handle) = call();
    assert!(assert_ready!(handle.poll_request()).is_some());
    drop(call);
    assert_gone(handle).await;
}

#[tokio::test(start_paused = true)]
async fn dropped_while_an_interim_body_is_read() {
    let (mut call, mut handle) = call();
    serve(&mut handle, "/report", response(303, PENDING, endless()));
    assert_pending!(call.poll());
    drop(call);
    assert_gone(handle).await;
}

#[tokio::test(start_paused = true)]
async fn dropped_while_waiting() {
    let (mut call, mut handle) = call();
    serve(&mut handle, "/report", response(303, PENDING, empty()));
    assert_pending!(call.poll());
    time::advance(Duration::from_millis(999)).await;
    assert_pending!(call.poll());
    assert_pending!(handle.poll_request().map(|next| next.is_none()));
    drop(call);
    assert_gone(handle).await;
}

#[tokio::test(start_paused = true)]
async fn dropped_while_the_service_is_not_ready_for_the_poll() {
    let (mut call, mut handle) = call();
    serve(&mut handle, "/report", response(303, PENDING, empty()));
    assert_pending!(call.poll());
    handle.allow(0);
    time::advance(Duration::from_secs(2)).await;
    assert_pending!(call.poll());
    drop(call);
    assert_gone(handle).await;
}

#[tokio::test(start_paused = true)]
async fn dropped_while_a_poll_is_under_way() {
    let (mut call, mut handle) = call();
    serve(&mut handle, "/report", response(303, PENDING, empty()));
    assert_pending!(call.poll());
    time::advance(Duration::from_secs(2)).await;
    assert_pending!(call.poll());
    assert!(assert_ready!(handle.poll_request()).is_some());
    drop(call);
    assert_gone(handle).await;
}

#[tokio::test(start_paused = true)]
async fn dropped_while_a_problem_is_read() {
    let (mut call, mut handle) = call();
    serve(&mut handle, "/report", response(303, PENDING, empty()));
    assert_pending!(call.poll());
    time::advance(Duration::from_secs(2)).await;
    assert_pending!(call.poll());
    serve(&mut handle, "/work/1", response(500, FAILED, endless()));
    assert_pending!(call.poll());
    drop(call);
    assert_gone(handle).await;
}

#[tokio::test(start_paused = true)]
async fn finished_call_has_let_go_of_everything() {
    let (mut call, mut handle) = call();
    serve(&mut handle, "/report", response(303, PENDING, empty()));
    assert_pending!(call.poll());
    time::advance(Duration::from_secs(2)).await;
    assert_pending!(call.poll());
    serve(&mut handle, "/work/1", response(200, &[], empty()));
    assert_ready_ok!(call.poll());
    assert_gone(handle).await;
}
