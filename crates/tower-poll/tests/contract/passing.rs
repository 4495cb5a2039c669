//! Answers that are not pending, and errors, pass through unchanged.

use std::{error::Error as _, io};

use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::Full;
use tokio_test::{assert_pending, assert_ready_err, assert_ready_ok};
use tower_poll::PollLayer;
use tower_test::mock;

use crate::common::{Script, TestBody, answer, exact_layer, post, see_other, send, text};

const URL: &str = "https://example.com/report";

#[tokio::test(start_paused = true)]
async fn final_response_is_passed_through_unchanged() {
    let (mut service, mut handle) =
        mock::spawn_layer::<Request<TestBody>, Response<TestBody>, _>(PollLayer::new());
    assert_ready_ok!(service.poll_ready());
    let mut call = tokio_test::task::spawn(service.call(post(URL)));
    assert_pending!(call.poll());

    let (request, respond) = handle.next_request().await.unwrap();
    assert_eq!(request.method(), "POST");
    assert_eq!(request.uri(), URL);
    assert!(request.headers().is_empty());
    let mut response = Response::new(Full::from("as it was"));
    *response.status_mut() = StatusCode::IM_A_TEAPOT;
    response
        .headers_mut()
        .insert("x-any", HeaderValue::from_static("thing"));
    response.extensions_mut().insert(7_u8);
    respond.send_response(response);

    let response = assert_ready_ok!(call.poll());
    assert_eq!(response.status(), StatusCode::IM_A_TEAPOT);
    assert_eq!(response.headers()["x-any"], "thing");
    assert_eq!(response.extensions().get(), Some(&7_u8));
    assert_eq!(text(response).await, "as it was");
}

#[tokio::test(start_paused = true)]
async fn error_of_becoming_ready_is_inner() {
    let (mut service, mut handle) =
        mock::spawn_layer::<Request<TestBody>, Response<TestBody>, _>(PollLayer::new());
    handle.send_error("broken");
    let error = assert_ready_err!(service.poll_ready());
    assert!(error.is_inner() && error.pending_job().is_none());
}

#[tokio::test(start_paused = true)]
async fn error_of_the_submission_is_inner_and_comes_out_whole() {
    let script =
        Script::<TestBody>::new(|_, _| Err(io::Error::from(io::ErrorKind::BrokenPipe).into()));
    let error = send(exact_layer(), &script, post(URL)).await.unwrap_err();
    assert!(error.is_inner() && error.pending_job().is_none());
    assert_eq!(
        error.to_string(),
        "the service failed during the submission"
    );
    assert!(error.source().unwrap().is::<io::Error>());
    let inner = error.into_inner().unwrap().downcast::<io::Error>().unwrap();
    assert_eq!(inner.kind(), io::ErrorKind::BrokenPipe);
}

#[tokio::test(start_paused = true)]
async fn error_of_a_poll_is_inner_and_tells_the_job() {
    let script = Script::new(|number, _| match number {
        0 => see_other("/work/1"),
        _ => Err("reset".into()),
    });
    let layer = exact_layer().poll_retries(0);
    let error = send(layer, &script, post(URL)).await.unwrap_err();
    assert!(error.is_inner());
    assert_eq!(
        error.to_string(),
        "the service failed in a request for the job"
    );
    let job = error.pending_job().unwrap();
    assert_eq!((job.url().path(), job.polls()), ("/work/1", 1));
    assert_eq!(error.into_inner().unwrap().to_string(), "reset");
}

#[tokio::test(start_paused = true)]
async fn only_inner_errors_have_an_inner() {
    let script = Script::new(|_, _| see_other("/work/1"));
    let error = send(exact_layer().max_polls(0), &script, post(URL)).await;
    let error = error.unwrap_err();
    assert!(error.is_too_many_polls() && !error.is_inner());
    assert!(error.into_inner().is_none());
}

#[tokio::test(start_paused = true)]
async fn debug_of_errors_and_jobs_does_not_show_the_job_url() {
    let script = Script::new(|_, _| see_other("/work/0123456789abcdef"));
    let error = send(exact_layer().max_polls(1), &script, post(URL)).await;
    let error = error.unwrap_err();
    let shown = format!("{error:?} {error}");
    assert!(shown.contains("https://example.com/work/…"), "{shown}");
    assert!(!shown.contains("0123456789"), "{shown}");
}

#[tokio::test(start_paused = true)]
async fn response_after_polls_is_passed_up_unchanged() {
    let script = Script::new(|number, _| match number {
        0 | 1 => see_other("/work/1"),
        _ => answer(418, &[("x-any", "thing"), ("location", "/elsewhere")]),
    });
    let response = send(exact_layer(), &script, post(URL)).await.unwrap();
    assert_eq!(response.status(), StatusCode::IM_A_TEAPOT);
    assert_eq!(response.headers().len(), 2);
    assert!(response.extensions().is_empty());
}
