//! The handle of a job, as its handler and operators see it.

use std::{slice::from_ref, time::Duration};

use crate::support::{
    Answer, Body, Handler, SECOND, asking, eager, get, handler, post, send, with, wrap,
};
use http::{Request, Response};
use tokio::{sync::mpsc, time::sleep};
use tower::ServiceExt;
use tower_async_job::{AsyncJobLayer, JobContext};

/// Returns the handles in the operators' list, the latest job's first.
async fn listed(layer: &AsyncJobLayer) -> Vec<String> {
    let list = layer.operator_resource().oneshot(get("/")).await;
    let list = Answer::of(list.expect("infallible")).await.json();
    let jobs = list["jobs"].as_array().expect("a list").iter();
    jobs.map(|job| job["handle"].as_str().expect("text").to_owned())
        .collect()
}

/// Returns a handler that reads its handle after a time, and again at its end.
fn asking_after(time: Duration) -> (Handler, mpsc::UnboundedReceiver<String>) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let handler = handler(move |request| {
        let (job, sender) = (JobContext::of(&request), sender.clone());
        async move {
            let say = || sender.send(job.handle().to_string()).expect("heard");
            sleep(time).await;
            say();
            sleep(10 * SECOND).await;
            say();
            Response::new(Body::from("done"))
        }
    });
    (handler, receiver)
}

#[tokio::test(start_paused = true)]
async fn handle_is_known_before_there_is_a_job_and_is_the_job_s() {
    let layer = AsyncJobLayer::new();
    let (handler, mut said) = asking_after(Duration::ZERO);
    let service = wrap(&layer, handler);
    let call = tokio::spawn(async move { send(&service, post("/report")).await.pending() });
    let early = said.recv().await.expect("said");
    assert_eq!(listed(&layer).await, [""; 0], "there is no job yet");
    call.await.expect("accepted");
    assert_eq!(listed(&layer).await, from_ref(&early));
    assert_eq!(said.recv().await, Some(early));
}

#[tokio::test(start_paused = true)]
async fn handle_that_is_asked_for_late_is_the_job_s() {
    for request in [
        asking(post("/report")),
        with(asking(post("/report")), "idempotency-key", "k"),
    ] {
        let layer = AsyncJobLayer::new();
        let (handler, mut said) = asking_after(5 * SECOND);
        send(&wrap(&layer, handler), request).await.pending();
        let late = said.recv().await.expect("said");
        assert_eq!(listed(&layer).await, from_ref(&late));
        assert_eq!(said.recv().await, Some(late));
    }
}

#[tokio::test(start_paused = true)]
async fn each_request_has_a_handle_of_its_own() {
    let layer = eager(AsyncJobLayer::builder());
    let (handler, mut said) = asking_after(Duration::ZERO);
    let service = wrap(&layer, handler);
    let mut handles = Vec::new();
    for _ in 0..3 {
        send(&service, post("/report")).await.pending();
        handles.push(said.recv().await.expect("said"));
    }
    handles.reverse();
    assert_eq!(listed(&layer).await, handles);
    assert!(handles[0] != handles[1] && handles[1] != handles[2]);
}

#[test]
fn inert_contexts_have_handles() {
    let job = JobContext::of(&Request::new(()));
    assert_eq!(job.handle(), job.clone().handle());
    assert_ne!(job.handle(), JobContext::inert().handle());
}
