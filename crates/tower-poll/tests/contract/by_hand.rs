//! Jobs that are not waited for.

use std::time::Duration;

use futures_util::StreamExt;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header::AUTHORIZATION};
use http_polling::JobState;
use tokio::time::Instant;
use tower::{Layer, ServiceExt};
use tower_poll::{
    DoNotWait, Job, PendingJob, PollService, Submitted, Update,
    dialect::{self, Dialect, DialectError, Step},
};

use crate::common::{
    Answer, Script, TestBody, answer, answer_with, exact_layer, post, see_other, send, text,
};

const URL: &str = "http://server.test/report";

type TestJob = Job<Script, TestBody, TestBody>;

/// Three pending answers, the first to the submission, then the response.
fn three(number: usize) -> Answer {
    match number {
        0..3 => see_other(&format!("/work/1?poll={}", number + 1)),
        _ => answer_with(200, &[], "done"),
    }
}

async fn submit(script: &Script) -> TestJob {
    let mut service: PollService<Script> = exact_layer().layer(script.clone());
    match service.submit(post(URL)).await.unwrap() {
        Submitted::Pending(job) => job,
        Submitted::Final(response) => panic!("not pending: {response:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn submission_that_is_answered_at_once_is_final() {
    let script = Script::new(|_, _| answer_with(200, &[], "done"));
    let mut service: PollService<Script> = exact_layer().layer(script.clone());
    let Submitted::Final(response) = service.submit(post(URL)).await.unwrap() else {
        panic!("pending");
    };
    assert_eq!(text(response).await, "done");
}

#[tokio::test(start_paused = true)]
async fn submitted_job_is_not_polled_unasked() {
    let script = Script::new(|number, _| three(number));
    let job = submit(&script).await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(script.count(), 1);
    let pending = job.pending();
    assert_eq!(pending.url(), "http://server.test/work/1?poll=1");
    assert_eq!((pending.polls(), pending.method()), (0, &Method::GET));
    assert_eq!(pending.retry_after(), Some(Duration::from_secs(1)));
}

#[tokio::test(start_paused = true)]
async fn next_gives_each_pending_answer_and_then_the_response() {
    let script = Script::new(|number, _| three(number));
    let mut job = submit(&script).await;
    for polls in 0..3 {
        let Update::Pending(update) = job.next().await.unwrap().unwrap() else {
            panic!("final after {polls}");
        };
        assert_eq!(
            (update.polls(), update.delay()),
            (polls, Duration::from_secs(1))
        );
        assert_eq!(script.count() as u32, 1 + polls);
    }
    let Update::Final(response) = job.next().await.unwrap().unwrap() else {
        panic!("pending");
    };
    assert_eq!(text(response).await, "done");
    assert!(job.next().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn job_is_a_stream_of_its_updates() {
    let script = Script::new(|number, _| three(number));
    let updates: Vec<_> = StreamExt::collect(submit(&script).await).await;
    assert_eq!(updates.len(), 4);
    assert!(matches!(updates.last(), Some(Ok(Update::Final(_)))));
}

#[tokio::test(start_paused = true)]
async fn poll_now_does_not_wait() {
    let script = Script::new(|number, _| three(number));
    let mut job = submit(&script).await;
    let start = Instant::now();
    assert!(matches!(job.poll_now().await, Some(Ok(Update::Pending(_)))));
    assert_eq!((start.elapsed(), script.count()), (Duration::ZERO, 2));
    assert!(matches!(job.poll_now().await, Some(Ok(Update::Pending(_)))));
    assert!(matches!(job.poll_now().await, Some(Ok(Update::Final(_)))));
    assert_eq!(start.elapsed(), Duration::ZERO);
    assert!(job.poll_now().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn dropped_next_goes_on_where_it_was() {
    let script = Script::new(|number, _| three(number));
    let mut job = submit(&script).await;
    job.next().await.unwrap().unwrap();
    let start = Instant::now();
    for _ in 0..9 {
        let waited = tokio::time::timeout(Duration::from_millis(100), job.next()).await;
        assert!(waited.is_err());
    }
    job.next().await.unwrap().unwrap();
    assert_eq!(start.elapsed(), Duration::from_secs(1));
    assert_eq!(script.count(), 2);
}

#[tokio::test(start_paused = true)]
async fn wait_goes_to_the_end() {
    let script = Script::new(|number, _| three(number));
    let response = submit(&script).await.wait().await.unwrap();
    assert_eq!(text(response).await, "done");
}

#[tokio::test(start_paused = true)]
async fn cancel_deletes_where_the_job_was_last_seen() {
    let script = Script::new(|number, request| match *request.method() {
        Method::DELETE => answer(202, &[("job-status", "cancelled")]),
        _ => three(number),
    });
    let mut job = submit(&script).await;
    job.poll_now().await.unwrap().unwrap();
    let response = job.cancel().await.unwrap();
    assert_eq!(response.status(), StatusCode::ACCEPTED);
    let last = script.seen().pop().unwrap();
    assert_eq!(last.method, Method::DELETE);
    assert_eq!(last.uri, "http://server.test/work/1?poll=2");
}

#[tokio::test(start_paused = true)]
async fn resumed_job_goes_on_in_another_service() {
    let script = Script::new(|number, _| three(number));
    let mut job = submit(&script).await;
    job.poll_now().await.unwrap().unwrap();
    let stored = serde_json::to_string(&job.pending()).unwrap();
    drop(job);

    let restored: PendingJob = serde_json::from_str(&stored).unwrap();
    let service: PollService<Script> = exact_layer().layer(script.clone());
    let mut headers = HeaderMap::new();
    headers.insert(AUTHORIZATION, HeaderValue::from_static("Bearer secret"));
    headers.insert("content-type", HeaderValue::from_static("text/plain"));
    let mut job = service.resume(&restored, &headers).unwrap();
    let Update::Pending(update) = job.next().await.unwrap().unwrap() else {
        panic!("final");
    };
    assert_eq!(update.polls(), 2);
    assert_eq!(job.pending().polls(), 2);
    let response = job.wait().await.unwrap();
    assert_eq!(text(response).await, "done");
    let last = script.seen().pop().unwrap();
    assert_eq!(last.headers[AUTHORIZATION], "Bearer secret");
    assert!(!last.headers.contains_key("content-type"));
}

#[tokio::test(start_paused = true)]
async fn resumed_job_waits_until_its_poll_is_due() {
    let script = Script::new(|number, _| match number {
        0 => answer(303, &[("location", "/work/1"), ("retry-after", "20")]),
        _ => answer(200, &[]),
    });
    let pending = submit(&script).await.pending();
    let service: PollService<Script> = exact_layer().layer(script.clone());
    let job: TestJob = service.resume(&pending, &HeaderMap::new()).unwrap();
    let start = Instant::now();
    job.wait().await.unwrap();
    // The wall clock is the real one.
    assert!(
        start.elapsed() > Duration::from_secs(15),
        "{:?}",
        start.elapsed()
    );
}

#[tokio::test(start_paused = true)]
async fn credentials_go_to_the_origin_of_the_submission_only_after_resuming_too() {
    let stored =
        r#"{"version":1,"url":"http://elsewhere.test/work/1","origin":"http://server.test/"}"#;
    let pending: PendingJob = serde_json::from_str(stored).unwrap();
    let mut headers = HeaderMap::new();
    headers.insert(AUTHORIZATION, HeaderValue::from_static("Bearer secret"));
    let script = Script::new(|_, _| answer(200, &[]));

    let service: PollService<Script> = exact_layer().layer(script.clone());
    let refused: Result<TestJob, _> = service.resume(&pending, &headers);
    assert!(refused.unwrap_err().is_cross_origin());

    let allowed = [http::Uri::from_static("http://elsewhere.test")];
    let policy = crate::common::exact().cross_origin(allowed);
    let service = tower_poll::PollLayer::with_policy(policy).layer(script.clone());
    let job: Job<_, TestBody, TestBody> = service.resume(&pending, &headers).unwrap();
    job.wait().await.unwrap();
    assert!(!script.seen()[0].headers.contains_key(AUTHORIZATION));
}

#[tokio::test(start_paused = true)]
async fn c34_credentials_go_to_the_origin_that_the_caller_names_only() {
    let tampered = r#"{"version":1,"url":"http://evil.test/work/1","origin":"http://evil.test/"}"#;
    let pending: PendingJob = serde_json::from_str(tampered).unwrap();
    let pending = pending.with_origin(http::Uri::from_static("http://server.test"));
    let mut headers = HeaderMap::new();
    headers.insert(AUTHORIZATION, HeaderValue::from_static("Bearer secret"));
    let script = Script::new(|_, _| answer(200, &[]));
    let service: PollService<Script> = exact_layer().layer(script.clone());
    let refused: Result<TestJob, _> = service.resume(&pending, &headers);
    assert!(refused.unwrap_err().is_cross_origin());
    assert_eq!(script.count(), 0);
}

#[tokio::test(start_paused = true)]
async fn dropped_credentials_stay_dropped_after_resuming() {
    let stored = r#"{"version":1,"url":"http://server.test/work/1","origin":"http://server.test/","credentials_dropped":true}"#;
    let pending: PendingJob = serde_json::from_str(stored).unwrap();
    let mut headers = HeaderMap::new();
    headers.insert(AUTHORIZATION, HeaderValue::from_static("Bearer secret"));
    let script = Script::new(|_, _| answer(200, &[]));
    let service: PollService<Script> = exact_layer().layer(script.clone());
    let job: TestJob = service.resume(&pending, &headers).unwrap();
    job.wait().await.unwrap();
    assert!(!script.seen()[0].headers.contains_key(AUTHORIZATION));
}

#[tokio::test(start_paused = true)]
async fn job_of_a_dialect_that_is_not_known_is_not_resumed() {
    let stored = r#"{"version":1,"url":"http://server.test/work/1","origin":"http://server.test/",
        "dialect":{"name":"klingon","method":"POST","submission":"http://server.test/report"}}"#;
    let pending: PendingJob = serde_json::from_str(stored).unwrap();
    let service: PollService<Script> = exact_layer().layer(Script::new(|_, _| answer(200, &[])));
    let resumed: Result<TestJob, _> = service.resume(&pending, &HeaderMap::new());
    let error = resumed.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the stored job needs a dialect that the layer does not have"
    );
    assert!(error.pending_job().is_some());
}

#[tokio::test(start_paused = true)]
async fn c18_deadline_error_has_a_job_that_resumes() {
    let script = Script::new(|number, _| match number {
        0..20 => answer(202, &[("location", "/work/1"), ("retry-after", "1")]),
        _ => answer_with(200, &[], "done"),
    });
    let layer = exact_layer().deadline(Duration::from_secs(5));
    let error = send(layer, &script, post(URL)).await.unwrap_err();
    assert!(error.is_deadline());
    let stored = serde_json::to_string(&error.into_pending_job().unwrap()).unwrap();
    let pending: PendingJob = serde_json::from_str(&stored).unwrap();
    assert_eq!(pending.state(), None::<JobState>);
    let service: PollService<Script> = exact_layer().layer(script.clone());
    let job: TestJob = service.resume(&pending, &HeaderMap::new()).unwrap();
    assert_eq!(text(job.wait().await.unwrap()).await, "done");
}

#[tokio::test(start_paused = true)]
async fn call_that_does_not_wait_gets_the_pending_answer_and_the_job() {
    let script = Script::new(|_, _| {
        let headers = [
            ("location", "/work/1"),
            ("retry-after", "3"),
            ("x-kept", "yes"),
        ];
        answer_with(202, &headers, "interim")
    });
    let mut request = post(URL);
    request.extensions_mut().insert(DoNotWait);
    let service: PollService<Script> = exact_layer().layer(script.clone());
    let response = service.oneshot(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::ACCEPTED);
    assert_eq!(response.headers()["x-kept"], "yes");
    let job = response.extensions().get::<PendingJob>().unwrap();
    assert_eq!(job.url(), "http://server.test/work/1");
    assert_eq!(job.retry_after(), Some(Duration::from_secs(3)));
    assert_eq!(text(response).await, "interim");
    assert_eq!(script.count(), 1);
}

#[tokio::test(start_paused = true)]
async fn call_that_does_not_wait_and_is_answered_at_once_is_as_ever() {
    let script = Script::new(|_, _| answer_with(200, &[], "done"));
    let mut request = post(URL);
    request.extensions_mut().insert(DoNotWait);
    let response = send(exact_layer(), &script, request).await.unwrap();
    assert!(response.extensions().get::<PendingJob>().is_none());
    assert_eq!(text(response).await, "done");
}

/// Says in its documents alone how it stands.
#[derive(Debug)]
struct Documents;

impl Dialect for Documents {
    fn name(&self) -> &'static str {
        "documents"
    }

    fn recognises(&self, _: &dialect::Answer<'_>) -> bool {
        true
    }

    fn read(&self, answer: &dialect::Answer<'_>) -> Result<Step, DialectError> {
        match answer.body() {
            None => Ok(Step::NeedsBody),
            Some(b"done") => Ok(Step::DoneAs(StatusCode::CREATED)),
            Some(_) => Ok(Step::Pending(answer.pending(answer.resolve("/status")?))),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn call_that_does_not_wait_ends_with_the_job_once_its_document_is_read() {
    let script = Script::new(|_, _| answer_with(200, &[], "running"));
    let mut request = post(URL);
    request.extensions_mut().insert(DoNotWait);
    let layer = exact_layer().dialect(Documents);
    let error = send(layer, &script, request).await.unwrap_err();
    assert!(error.is_stopped());
    assert_eq!(error.pending_job().unwrap().url().path(), "/status");
    assert_eq!(script.count(), 1);
}

#[tokio::test(start_paused = true)]
async fn call_that_does_not_wait_gets_a_response_that_a_document_says_is_there() {
    let script = Script::new(|_, _| answer_with(200, &[], "done"));
    let mut request = http::Request::get(URL).body(TestBody::default()).unwrap();
    request.extensions_mut().insert(DoNotWait);
    let layer = exact_layer().dialect(Documents);
    let response = send(layer, &script, request).await.unwrap();
    assert_eq!(response.status(), StatusCode::CREATED);
}

#[tokio::test(start_paused = true)]
async fn response_that_cannot_be_fetched_again_keeps_its_own_status() {
    let script = Script::new(|number, _| match number {
        0 => answer_with(200, &[], "running"),
        1 => answer_with(200, &[], "done"),
        _ => answer(409, &[]),
    });
    let layer = exact_layer().dialect(Documents);
    let response = send(layer, &script, post(URL)).await.unwrap();
    assert_eq!(response.status(), StatusCode::CONFLICT);
}

#[tokio::test(start_paused = true)]
async fn submitted_request_that_is_not_to_be_waited_for_is_a_job_all_the_same() {
    let script = Script::new(|number, _| three(number));
    let mut request = post(URL);
    request.extensions_mut().insert(DoNotWait);
    let mut service: PollService<Script> = exact_layer().layer(script.clone());
    let submitted = service.submit(request).await.unwrap();
    assert!(matches!(submitted, Submitted::Pending(_)));
}

#[tokio::test(start_paused = true)]
async fn resumed_job_has_the_delay_that_the_server_asked_for() {
    let script = Script::new(|number, _| three(number));
    let pending = submit(&script).await.pending();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let service: PollService<Script> = exact_layer().layer(script.clone());
    let job: TestJob = service.resume(&pending, &HeaderMap::new()).unwrap();
    assert_eq!(job.pending().retry_after(), Some(Duration::from_secs(1)));
}
