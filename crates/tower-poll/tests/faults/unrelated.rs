//! Answers to polls that are not those of the job.

use http::{HeaderMap, StatusCode};
use tower::Layer;
use tower_poll::{Hint, Job, PendingJob, PollService};

use crate::common::{Answer, Script, TestBody, answer, answer_with, exact_layer, post, send, text};

const URL: &str = "https://example.com/report";

fn announced() -> Answer {
    let headers = [("job-status", "running"), ("location", "/work/1")];
    answer(303, &headers)
}

#[tokio::test(start_paused = true)]
async fn c27_answer_that_is_not_the_job_s_is_an_error() {
    const HTML: &[(&str, &str)] = &[("content-type", "text/html")];
    for status in [200, 204, 400, 405, 501] {
        let script = Script::new(move |number, _| match number {
            0 => announced(),
            _ => answer_with(status, HTML, "<h1>Welcome</h1>"),
        });
        let error = send(exact_layer(), &script, post(URL)).await.unwrap_err();
        assert!(error.is_unrelated(), "{status}: {error:?}");
        assert_eq!(error.status().unwrap(), status);
        assert_eq!(error.headers().unwrap()["content-type"], "text/html");
        assert_eq!(error.text(), Some("<h1>Welcome</h1>"));
        assert_eq!(
            error.pending_job().unwrap().url(),
            "https://example.com/work/1"
        );
        assert_eq!(error.hint(), Some(&Hint::OtherRoute));
    }
}

/// A page to log in on, say.
#[tokio::test(start_paused = true)]
async fn c27_redirect_without_job_status_does_not_lead_to_a_result() {
    let script = Script::new(|number, _| match number {
        0 => announced(),
        1 => answer(302, &[("location", "/login")]),
        _ => answer_with(200, &[], "log in"),
    });
    let error = send(exact_layer(), &script, post(URL)).await.unwrap_err();
    assert!(error.is_unrelated());
    assert_eq!(
        error.pending_job().unwrap().url(),
        "https://example.com/work/1"
    );
}

#[tokio::test(start_paused = true)]
async fn c27_job_that_was_led_away_from_goes_on_where_it_is() {
    let script = Script::new(|number, _| match number {
        0 => announced(),
        1 => answer(302, &[("location", "/login")]),
        2 => answer(302, &[("location", "/login/form")]),
        3 => answer(403, &[]),
        _ => answer_with(200, &[("job-status", "done")], "done"),
    });
    let error = send(exact_layer(), &script, post(URL)).await.unwrap_err();
    let job = error.pending_job().unwrap();
    assert_eq!(job.url(), "https://example.com/work/1");
    let service: PollService<Script> = exact_layer().layer(script);
    let job: Job<Script, TestBody, TestBody> = service.resume(job, &HeaderMap::new()).unwrap();
    assert_eq!(text(job.wait().await.unwrap()).await, "done");
}

#[tokio::test(start_paused = true)]
async fn c27_it_is_remembered_by_a_stored_job() {
    let script = Script::new(|number, _| match number {
        0 => announced(),
        1 => answer(503, &[("retry-after", "1")]),
        _ => answer_with(200, &[], "welcome"),
    });
    let layer = exact_layer().max_polls(1);
    let error = send(layer, &script, post(URL)).await.unwrap_err();
    let stored = serde_json::to_string(error.pending_job().unwrap()).unwrap();
    let job: PendingJob = serde_json::from_str(&stored).unwrap();
    let service: PollService<Script> = exact_layer().layer(script);
    let job: Job<Script, TestBody, TestBody> = service.resume(&job, &HeaderMap::new()).unwrap();
    assert!(job.wait().await.unwrap_err().is_unrelated());
}

#[tokio::test(start_paused = true)]
async fn c27_what_is_pending_repeated_or_refused_needs_no_job_status() {
    let script = Script::new(|number, _| match number {
        0 => announced(),
        1 => answer(429, &[("retry-after", "1")]),
        2 => answer(502, &[]),
        3 => answer(202, &[]),
        4 => answer(308, &[("location", "/work/1/")]),
        _ => answer_with(200, &[("job-status", "done")], "done"),
    });
    let response = send(exact_layer(), &script, post(URL)).await.unwrap();
    assert_eq!(text(response).await, "done");

    let script = Script::new(|number, _| match number {
        0 => announced(),
        _ => answer_with(502, &[], "bad gateway"),
    });
    let response = send(exact_layer().poll_retries(1), &script, post(URL))
        .await
        .unwrap();
    assert_eq!(response.status(), StatusCode::BAD_GATEWAY);
    assert!(response.extensions().get::<PendingJob>().is_some());
}
