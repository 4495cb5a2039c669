//! Faults that the model and the fuzz targets have found.

use std::{
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
    time::Duration,
};

use crate::common::{Script, TestBody, answer, answer_with, exact_layer, post, see_other, send};
use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode, Uri};
use http_body::{Body, Frame};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tower::{BoxError, Layer, ServiceExt, service_fn};
use tower_poll::{
    PendingJob, PollLayer, PollService, StopSignal, Submitted,
    dialect::{Answer, AzureResourceManager, Dialect, DialectError, Step},
};

/// Ends in 201 once the document says that it has ended.
#[derive(Debug)]
struct Documents;

impl Dialect for Documents {
    fn name(&self) -> &'static str {
        "documents"
    }

    fn recognises(&self, _: &Answer<'_>) -> bool {
        true
    }

    fn read(&self, answer: &Answer<'_>) -> Result<Step, DialectError> {
        match answer.body() {
            None => Ok(Step::NeedsBody),
            Some(b"done") => Ok(Step::DoneAs(StatusCode::CREATED)),
            Some(_) => Ok(Step::Pending(answer.pending(answer.resolve("/status")?))),
        }
    }
}

/// Nothing of it ever comes.
#[derive(Debug, Default)]
struct Never;

impl Body for Never {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        Poll::Pending
    }
}

/// A caller that cancels while the answer to its submission is being read has
/// no job yet. DELETE of the submission's own URL would destroy the resource
/// that it is about.
#[tokio::test(start_paused = true)]
async fn cancelling_before_a_job_is_known_does_not_delete_the_submission_url() {
    let seen: Arc<Mutex<Vec<(Method, Uri)>>> = Arc::default();
    let kept = Arc::clone(&seen);
    let server = service_fn(move |request: Request<String>| {
        let head = (request.method().clone(), request.uri().clone());
        kept.lock().unwrap().push(head);
        async { Ok::<_, BoxError>(Response::new(Never)) }
    });
    let token = CancellationToken::new();
    let request = Request::put("https://example.com/disks/7")
        .extension(StopSignal::cancel_remotely(token.clone().cancelled_owned()))
        .body(String::new())
        .unwrap();
    tokio::spawn(async move {
        sleep(Duration::from_secs(1)).await;
        token.cancel();
    });
    let layer = exact_layer()
        .dialect(Documents)
        .deadline(Duration::from_secs(9));
    let _ = layer.layer(server).oneshot(request).await;
    let seen = seen.lock().unwrap();
    assert!(
        seen.iter().all(|(method, _)| method != Method::DELETE),
        "{seen:?}"
    );
}

/// The requests of a PUT that is dropped after 10 s, with jobs cancelled on drop.
async fn methods_of_a_dropped_put(layer: PollLayer, script: Script) -> Vec<Method> {
    let service = layer.cancel_on_drop().layer(script.clone());
    let request = Request::put("https://example.com/disks/7")
        .body(TestBody::default())
        .unwrap();
    let call = timeout(Duration::from_secs(10), service.oneshot(request));
    assert!(call.await.is_err());
    sleep(Duration::from_secs(60)).await;
    script.seen().into_iter().map(|seen| seen.method).collect()
}

#[tokio::test(start_paused = true)]
async fn cancelling_does_not_delete_a_resource_that_tells_of_its_own_state() {
    let script = Script::new(|_, _| {
        let headers = [("content-type", "application/json"), ("retry-after", "60")];
        answer_with(201, &headers, r#"{"provisioningState":"Creating"}"#)
    });
    let layer = exact_layer().dialect(AzureResourceManager::new().poll_resources(true));
    let methods = methods_of_a_dropped_put(layer, script).await;
    assert_eq!(methods, [Method::PUT]);
}

#[tokio::test(start_paused = true)]
async fn cancelling_does_not_delete_what_a_job_that_is_done_has_made() {
    let script = Script::new(|number, _| match number {
        0 => {
            let headers = [("azure-asyncoperation", "/work/7"), ("retry-after", "1")];
            answer(201, &headers)
        }
        1 => answer_with(200, &[], r#"{"status":"Succeeded"}"#),
        _ => answer(503, &[("retry-after", "60")]),
    });
    let methods = methods_of_a_dropped_put(exact_layer(), script).await;
    assert_eq!(methods, [Method::PUT, Method::GET, Method::GET]);
}

#[tokio::test(start_paused = true)]
async fn a_status_told_by_a_document_is_that_of_the_response() {
    let script = Script::new(|number, _| match number {
        0 => answer_with(202, &[], "running"),
        _ => answer_with(200, &[], "done"),
    });
    let layer = exact_layer().dialect(Documents);
    let response = send(layer, &script, post("https://example.com/report"))
        .await
        .unwrap();
    assert_eq!(response.status(), StatusCode::CREATED);
}

#[tokio::test(start_paused = true)]
async fn a_job_that_was_polled_very_often_can_be_resumed() {
    let stored = r#"{"version":1,"url":"https://example.com/work/7","origin":"https://example.com/","polls":4294967295}"#;
    let job: PendingJob = serde_json::from_str(stored).unwrap();
    let script = Script::<TestBody>::new(|number, _| match number {
        0 => see_other("/work/7"),
        _ => answer(200, &[]),
    });
    let service = exact_layer().layer(script);
    let job = service
        .resume::<TestBody, TestBody>(&job, &HeaderMap::new())
        .unwrap();
    assert_eq!(job.wait().await.unwrap().status(), StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn a_job_that_is_left_alone_is_not_polled_after_the_deadline() {
    let script = Script::new(|_, _| see_other("/work/7"));
    let layer = exact_layer().deadline(Duration::from_secs(9));
    let mut service: PollService<Script> = layer.layer(script.clone());
    let submitted = service.submit(post("https://example.com/report")).await;
    let Ok(Submitted::Pending(job)) = submitted else {
        panic!("not pending");
    };
    sleep(Duration::from_secs(10)).await;
    let error = job.wait().await.unwrap_err();
    assert!(error.is_deadline() && error.pending_job().is_some());
    assert_eq!(script.count(), 1);
}

#[test]
fn a_stored_job_that_no_answer_could_lead_to_is_refused() {
    for url in [
        "*",
        "//elsewhere.example/work/7",
        "https://:/work/7",
        "work/7?from=https://example.com",
    ] {
        let stored = format!(r#"{{"version":1,"url":"{url}","origin":"/"}}"#);
        assert!(
            serde_json::from_str::<PendingJob>(&stored).is_err(),
            "{url}"
        );
    }
}
