//! The ends of jobs.

use std::error::Error as _;

use http::{HeaderMap, HeaderValue, Response};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use http_polling::{JobState, Problem, ProblemType};

use crate::common::{
    Answer, Script, answer, answer_with, exact_layer, post, see_other, send, text,
};

const URL: &str = "https://example.com/report";

/// Pending once, then `end`.
fn ending(end: impl Fn() -> Answer + Send + Sync + 'static) -> Script {
    Script::new(move |number, _| match number {
        0 => see_other("/work/1"),
        _ => end(),
    })
}

const UNKNOWN: &str = r#"{"type":"urn:example:unknown","title":"There is no such job"}"#;

#[tokio::test(start_paused = true)]
async fn c15_unknown_job_is_a_typed_error() {
    let headers = [
        ("job-status", "unknown"),
        ("content-type", "application/problem+json"),
    ];
    let script = ending(move || answer_with(404, &headers, UNKNOWN));
    let error = send(exact_layer(), &script, post(URL)).await.unwrap_err();
    assert_eq!(error.job_state(), Some(JobState::Unknown));
    assert_eq!(error.problem().unwrap().kind, "urn:example:unknown");
}

#[tokio::test(start_paused = true)]
async fn c15_404_of_a_server_without_job_status_is_a_typed_error() {
    let script = ending(|| answer(404, &[]));
    let error = send(exact_layer(), &script, post(URL)).await.unwrap_err();
    assert_eq!(error.job_state(), Some(JobState::Unknown));
    assert!(error.problem().is_none());
    assert_eq!(error.pending_job().unwrap().url().path(), "/work/1");
}

#[tokio::test(start_paused = true)]
async fn c15_404_that_is_the_answer_of_the_job_is_passed_up() {
    let script = ending(|| answer_with(404, &[("job-status", "done")], "no such year"));
    let response = send(exact_layer(), &script, post(URL)).await.unwrap();
    assert_eq!(response.status(), 404);
    assert_eq!(text(response).await, "no such year");
}

#[tokio::test(start_paused = true)]
async fn c16_every_bad_end_is_a_typed_error_with_its_problem() {
    for (state, kind) in [
        (JobState::Failed, ProblemType::JobFailed),
        (JobState::TimedOut, ProblemType::JobTimedOut),
        (JobState::Lost, ProblemType::JobLost),
        (JobState::Cancelled, ProblemType::JobCancelled),
        (JobState::Expired, ProblemType::JobExpired),
        (JobState::Unknown, ProblemType::JobUnknown),
    ] {
        let script = Script::new(move |number, _| match number {
            0 => see_other("/work/1"),
            _ => Ok(Response::builder()
                .status(kind.status())
                .header("job-status", state.header_value())
                .header("content-type", "application/problem+json; charset=utf-8")
                .body(
                    Problem::new(kind)
                        .with_detail("for a reason")
                        .to_json()
                        .into(),
                )?),
        });
        let error = send(exact_layer(), &script, post(URL)).await.unwrap_err();
        assert_eq!(error.job_state(), Some(state));
        assert_eq!(error.problem().unwrap().problem_type(), Some(kind));
        assert!(
            error
                .source()
                .unwrap()
                .to_string()
                .ends_with(": for a reason")
        );
        assert!(!error.is_inner(), "{state}");
        assert_eq!(error.pending_job().unwrap().url().path(), "/work/1");
    }
}

#[tokio::test(start_paused = true)]
async fn c16_end_without_a_readable_problem_is_typed_all_the_same() {
    let long = Box::leak("x".repeat(70_000).into_boxed_str());
    for (kind, body) in [
        ("text/html", "<h1>sorry</h1>"),
        ("application/problem+json", "{"),
        ("application/problem+json", &*long),
    ] {
        let headers = [("job-status", "failed"), ("content-type", kind)];
        let script = ending(move || answer_with(500, &headers, body));
        let error = send(exact_layer(), &script, post(URL)).await.unwrap_err();
        assert_eq!(error.job_state(), Some(JobState::Failed));
        assert!(error.problem().is_none() && error.source().is_none());
    }
}

#[tokio::test(start_paused = true)]
async fn c16_problem_that_never_ends_is_left_at_the_deadline() {
    let script = Script::new(|number, _| {
        let headers: &[_] = match number {
            0 => &[("location", "/work/1"), ("retry-after", "1")],
            _ => &[
                ("job-status", "failed"),
                ("content-type", "application/problem+json"),
            ],
        };
        let mut response = Response::builder().status(303);
        for (name, value) in headers {
            response = response.header(*name, *value);
        }
        let body = StreamBody::new(futures_util::stream::pending::<
            Result<Frame<bytes::Bytes>, std::io::Error>,
        >());
        Ok(response.body(body)?)
    });
    let error = send(exact_layer(), &script, post(URL)).await.unwrap_err();
    assert_eq!(error.job_state(), Some(JobState::Failed));
}

#[tokio::test(start_paused = true)]
async fn c25_done_is_final_whatever_the_status() {
    for status in [200, 202, 301, 303, 307, 404, 410, 429, 500, 503, 504] {
        let headers = [
            ("job-status", "done"),
            ("location", "/x"),
            ("retry-after", "1"),
        ];
        let script = ending(move || answer_with(status, &headers, "the result"));
        let response = send(exact_layer(), &script, post(URL)).await.unwrap();
        assert_eq!(response.status(), status);
        assert_eq!(response.headers().len(), 3);
        assert_eq!(text(response).await, "the result");
        assert_eq!(script.count(), 2, "{status}");
    }
}

#[tokio::test(start_paused = true)]
async fn c25_status_that_says_pending_counts_whatever_the_status() {
    let script = Script::new(|number, _| match number {
        0 => answer(200, &[("job-status", "queued"), ("location", "/work/1")]),
        1 => answer(404, &[("job-status", "running")]),
        _ => answer(200, &[("job-status", "done")]),
    });
    send(exact_layer(), &script, post(URL)).await.unwrap();
    assert_eq!(script.count(), 3);
}

#[tokio::test(start_paused = true)]
async fn job_status_on_the_answer_to_the_submission_is_passed_up() {
    for state in ["done", "failed", "unknown"] {
        let script = Script::new(move |_, _| {
            answer(
                303,
                &[
                    ("job-status", state),
                    ("location", "/x"),
                    ("retry-after", "1"),
                ],
            )
        });
        let response = send(exact_layer(), &script, post(URL)).await.unwrap();
        assert_eq!(response.status(), 303);
    }
}

#[tokio::test(start_paused = true)]
async fn trailers_only_failure_is_passed_up_to_a_grpc_client() {
    for kind in ["application/grpc", "application/grpc+proto"] {
        let headers = [
            ("job-status", "cancelled"),
            ("content-type", kind),
            ("grpc-status", "1"),
        ];
        let script = ending(move || answer(200, &headers));
        let response = send(exact_layer(), &script, post("/pkg.Service/Method"))
            .await
            .unwrap();
        assert_eq!(response.headers()["grpc-status"], "1");
        assert_eq!(script.uris(), ["/pkg.Service/Method", "/work/1"]);
    }
}

#[tokio::test(start_paused = true)]
async fn trailers_of_the_result_are_passed_up() {
    let script = Script::new(|number, _| {
        let response = Response::builder();
        let response = match number {
            0 => response
                .status(303)
                .header("location", "/w")
                .header("retry-after", "1"),
            _ => response,
        };
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", HeaderValue::from_static("0"));
        let frames: [Result<_, std::io::Error>; 2] = [
            Ok(Frame::data(bytes::Bytes::from_static(b"message"))),
            Ok(Frame::trailers(trailers)),
        ];
        Ok(response.body(StreamBody::new(futures_util::stream::iter(frames)))?)
    });
    let response = send(exact_layer(), &script, post("/pkg.Service/Method"))
        .await
        .unwrap();
    let body = response.into_body().collect().await.unwrap();
    assert_eq!(body.trailers().unwrap()["grpc-status"], "0");
    assert_eq!(body.to_bytes(), "message");
}

#[tokio::test(start_paused = true)]
async fn head_that_ends_badly_has_no_problem_document() {
    let headers = [
        ("job-status", "lost"),
        ("content-type", "application/problem+json"),
    ];
    let script = ending(move || answer(500, &headers));
    let mut request = post(URL);
    *request.method_mut() = http::Method::HEAD;
    let error = send(exact_layer(), &script, request).await.unwrap_err();
    assert_eq!(error.job_state(), Some(JobState::Lost));
    assert!(error.problem().is_none());
}
