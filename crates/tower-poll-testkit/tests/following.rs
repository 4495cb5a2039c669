//! Scripts that are followed, and scripts that are not.

use std::{panic::AssertUnwindSafe, time::Duration};

use http::{HeaderValue, Method, Request};
use http_body_util::BodyExt;
use http_polling::{JobState, Problem, ProblemType, Progress, StatusDocument};
use tokio::time::{Instant, timeout};
use tower::{Layer, ServiceExt};
use tower_poll::{PollLayer, StandardPolicy, dialect::StatusResource};
use tower_poll_testkit::{Answer, ConnectionFailure, Gate, Script, ScriptError, ScriptedServer};

const SECOND: Duration = Duration::from_secs(1);
const URL: &str = "https://api.test/report";

fn request(method: Method, uri: &str) -> Request<String> {
    let request = Request::builder().method(method).uri(uri);
    request.body(String::new()).unwrap()
}

async fn send(server: &ScriptedServer, method: Method, uri: &str) {
    let _ = server.clone().oneshot(request(method, uri)).await;
}

fn layer() -> PollLayer {
    PollLayer::with_policy(StandardPolicy::new().jittered(false))
}

/// Sends POST through the layer. Returns status code and body.
async fn call(
    layer: PollLayer,
    server: &ScriptedServer,
) -> Result<(u16, String), tower_poll::Error> {
    let client = layer.layer(server.clone());
    let response = client.oneshot(request(Method::POST, URL)).await?;
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    Ok((status, String::from_utf8(body.to_vec()).unwrap()))
}

/// The message with which an assertion fails.
fn failure(assertion: impl FnOnce()) -> String {
    let panic = std::panic::catch_unwind(AssertUnwindSafe(assertion)).expect_err("it passes");
    *panic.downcast::<String>().expect("a formatted message")
}

#[tokio::test(start_paused = true)]
async fn script_that_is_followed_passes_all_assertions() {
    let server = Script::new()
        .on(
            Method::POST,
            "/report",
            Answer::see_other("/work/1").retry_after(3 * SECOND),
        )
        .accepted("/work/1", SECOND)
        .progress("/work/1", SECOND / 2, Progress::fraction(0.5))
        .failure("connection reset")
        .on(
            Method::GET,
            "https://api.test/work/1",
            Answer::ok("the report").job_status(JobState::Done),
        )
        .server();
    let (status, body) = call(layer(), &server).await.unwrap();
    assert_eq!((status, body.as_str()), (200, "the report"));
    server.assert_finished();
    server.assert_polls(4);
    server.assert_delays([3 * SECOND, SECOND, SECOND / 2, SECOND]);
    server.assert_retry_after_kept();
    server.assert_no_credentials_elsewhere();
}

#[tokio::test]
async fn request_that_differs_is_reported_with_its_step() {
    let server = Script::new()
        .response(200, "")
        .on(Method::GET, "/work/1", Answer::ok(""))
        .server();
    send(&server, Method::POST, URL).await;
    let differing = server
        .clone()
        .oneshot(request(Method::DELETE, "/work/1"))
        .await;
    assert!(differing.unwrap_err().is::<ScriptError>());
    // Not even the right one is answered any more.
    let late = server
        .clone()
        .oneshot(request(Method::GET, "/work/1"))
        .await;
    assert!(late.unwrap_err().is::<ScriptError>());
    let message = failure(|| server.assert_finished());
    let first = message.lines().next().unwrap();
    assert_eq!(
        first,
        "step 2 of 2 expects `GET /work/1`, and the client sent `DELETE /work/1`"
    );
    assert!(message.contains("1. POST /report at"), "{message}");
    assert!(message.contains("3. GET /work/1 at"), "{message}");
}

#[tokio::test]
async fn whole_uris_are_compared_whole() {
    let steps = || Script::new().on(Method::GET, "https://jobs.test/1", Answer::ok(""));
    let server = steps().server();
    send(&server, Method::GET, "https://jobs.test/1").await;
    server.assert_finished();
    let server = steps().server();
    send(&server, Method::GET, "https://elsewhere.test/1").await;
    let message = failure(|| server.assert_finished());
    assert!(
        message.contains("sent `GET https://elsewhere.test/1`"),
        "{message}"
    );
}

#[tokio::test]
async fn steps_that_are_left_and_requests_that_are_too_many_are_reported() {
    let server = Script::new().response(200, "").failure("reset").server();
    send(&server, Method::GET, "/").await;
    let message = failure(|| server.assert_finished());
    assert!(
        message.starts_with("step 2 of 2 (fails) got no request"),
        "{message}"
    );
    send(&server, Method::GET, "/").await;
    server.assert_finished();
    send(&server, Method::GET, "/more").await;
    let message = failure(|| server.assert_finished());
    let expected = "the client sent `GET /more` after step 2, which is the last";
    assert!(message.starts_with(expected), "{message}");
}

#[tokio::test]
async fn last_answer_is_repeated_if_the_script_says_so() {
    let server = Script::new()
        .response(201, "")
        .always(Answer::new(202))
        .server();
    for expected in [201, 202, 202] {
        let response = server.clone().oneshot(Request::new(())).await.unwrap();
        assert_eq!(response.status(), expected);
    }
    server.assert_finished();
    let script = Script::new().always(Answer::new(200));
    let more = AssertUnwindSafe(|| script.response(200, ""));
    assert!(std::panic::catch_unwind(more).is_err());
}

#[tokio::test(start_paused = true)]
async fn answers_are_delayed_held_or_never_sent() {
    let gate = Gate::new();
    let server = Script::new()
        .answer(Answer::failure("cut").after(10 * SECOND))
        .answer(Answer::ok("held").held_by(&gate))
        .answer(Answer::never())
        .server();
    let start = Instant::now();
    let cut = server.clone().oneshot(Request::new(())).await.unwrap_err();
    assert_eq!(
        cut.downcast_ref::<ConnectionFailure>().unwrap().to_string(),
        "cut"
    );
    assert_eq!(start.elapsed(), 10 * SECOND);

    let mut held = tokio::spawn(server.clone().oneshot(Request::new(())));
    assert!(timeout(60 * SECOND, &mut held).await.is_err());
    assert_eq!(server.requests()[1].answered, None);
    gate.open();
    assert_eq!(held.await.unwrap().unwrap().body().bytes(), "held");
    assert_eq!(server.requests()[1].answered, Some(70 * SECOND));

    let never = server.clone().oneshot(Request::new(()));
    assert!(timeout(100_000 * SECOND, never).await.is_err());
    server.assert_finished();
}

#[tokio::test(start_paused = true)]
async fn body_that_breaks_off_gives_its_bytes_first() {
    let server = Script::new()
        .answer(Answer::ok("half").broken_off())
        .server();
    let response = server.oneshot(Request::new(())).await.unwrap();
    let mut body = response.into_body();
    assert!(body.is_broken_off());
    let frame = body.frame().await.unwrap().unwrap();
    assert_eq!(frame.into_data().unwrap(), "half");
    assert!(body.frame().await.unwrap().is_err());
    assert!(body.frame().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn polls_that_come_early_are_reported() {
    let server = Script::new()
        .pending("/work/1", 3 * SECOND)
        .always(Answer::ok(""))
        .server();
    send(&server, Method::POST, URL).await;
    tokio::time::advance(2 * SECOND).await;
    send(&server, Method::GET, "https://api.test/work/1").await;
    let message = failure(|| server.assert_retry_after_kept());
    let expected = "request 2 came after 2s, and the answer before it asked for 3s";
    assert!(message.starts_with(expected), "{message}");
    let message = failure(|| server.assert_delays([3 * SECOND]));
    assert!(
        message.starts_with("expected 3s before request 2"),
        "{message}"
    );
    let message = failure(|| server.assert_polls(2));
    assert!(
        message.starts_with("expected 2 polls, and the client sent 1"),
        "{message}"
    );
    let message = failure(|| server.assert_requests(["POST /report"]));
    assert!(
        message.starts_with("expected requests:\n  POST /report\n"),
        "{message}"
    );
}

/// Sends a loaded request to one origin and `later` to another one.
async fn taken_elsewhere(later: Request<String>) -> ScriptedServer {
    let server = Script::new().always(Answer::ok("")).server();
    let mut first = request(Method::POST, URL);
    for (name, value) in [
        ("authorization", "Bearer token-1"),
        ("cookie", "theme=dark; sid=session-1"),
        ("x-tenant", "seven"),
    ] {
        first
            .headers_mut()
            .insert(name, HeaderValue::from_static(value));
    }
    server.clone().oneshot(first).await.unwrap();
    send(&server, Method::GET, "https://api.test:443/work/1").await;
    server.clone().oneshot(later).await.unwrap();
    server
}

#[tokio::test]
async fn credentials_at_another_origin_are_found_under_any_name() {
    let uri = "https://elsewhere.test/work/1";
    let with = |name: &'static str, value: &'static str| {
        let mut request = request(Method::GET, uri);
        request
            .headers_mut()
            .insert(name, HeaderValue::from_static(value));
        request
    };
    taken_elsewhere(with("x-tenant", "seven"))
        .await
        .assert_no_credentials_elsewhere();
    taken_elsewhere(request(Method::GET, "https://api.test/?token-1"))
        .await
        .assert_no_credentials_elsewhere();

    let mut value = HeaderValue::from_static("thing");
    value.set_sensitive(true);
    let mut sensitive = request(Method::GET, uri);
    sensitive.headers_mut().insert("x-any", value);
    for (request, place) in [
        (with("authorization", "Basic other"), "in `authorization`"),
        (with("x-api-key", "1"), "in `x-api-key`"),
        (with("x-copy", "token-1"), "in `x-copy`"),
        (with("x-copy", "is session-1"), "in `x-copy`"),
        (sensitive, "in `x-any`"),
        (
            request(Method::GET, "https://elsewhere.test/?t=token-1"),
            "in its URI",
        ),
    ] {
        let server = taken_elsewhere(request).await;
        let message = failure(|| server.assert_no_credentials_elsewhere());
        let expected = "request 3 took credentials to another origin, https://elsewhere.test, ";
        assert!(
            message.starts_with(&format!("{expected}{place}\n")),
            "{message}"
        );
    }
}

#[tokio::test]
#[should_panic(expected = "without having been polled ready")]
async fn server_must_be_ready_for_each_call() {
    let mut server = Script::new().always(Answer::ok("")).server();
    drop(tower::Service::call(&mut server, Request::new(())));
}

#[tokio::test(start_paused = true)]
async fn answers_of_each_dialect_lead_to_the_response() {
    let running = StatusDocument::new("1", JobState::Running);
    let done = StatusDocument::new("1", JobState::Done);
    for (dialect, script) in [
        (
            "azure",
            Script::new()
                .answer(Answer::azure_accepted("/operation"))
                .on(
                    Method::GET,
                    "/operation",
                    Answer::status_field("status", "InProgress"),
                )
                .on(
                    Method::GET,
                    "/operation",
                    Answer::status_field("status", "Succeeded"),
                )
                // The monitor's own answer is the response, and is fetched once more.
                .on(Method::GET, "/operation", Answer::ok("the operation")),
        ),
        (
            "ogc",
            Script::new()
                .answer(Answer::ogc_created("/jobs/7"))
                .on(
                    Method::GET,
                    "/jobs/7",
                    Answer::status_field("status", "running"),
                )
                .on(
                    Method::GET,
                    "/jobs/7",
                    Answer::status_field("status", "successful"),
                )
                .on(Method::GET, "/jobs/7/results", Answer::ok("a map")),
        ),
        (
            "odata",
            Script::new()
                .answer(Answer::odata_accepted("/monitor"))
                .on(Method::GET, "/monitor", Answer::new(202))
                .on(Method::GET, "/monitor", Answer::odata_result(201)),
        ),
        (
            "fhir",
            Script::new()
                .answer(Answer::fhir_accepted("/status/1"))
                .on(
                    Method::GET,
                    "/status/1",
                    Answer::fhir_progress("in progress: 60%"),
                )
                .on(Method::GET, "/status/1", Answer::ok("a manifest")),
        ),
        (
            "status resource",
            Script::new()
                .answer(Answer::accepted("/work/1/status"))
                .on(
                    Method::GET,
                    "/work/1/status",
                    Answer::status_document(&running),
                )
                .on(
                    Method::GET,
                    "/work/1/status",
                    Answer::status_document(&done),
                )
                .on(Method::GET, "/work/1", Answer::ok("the report")),
        ),
    ] {
        let server = script.server();
        let layer = match dialect {
            "status resource" => layer().dialect(StatusResource::new()),
            _ => layer(),
        };
        let outcome = call(layer, &server).await;
        assert!(outcome.is_ok(), "{dialect}: {outcome:?}");
        server.assert_finished();
        let expected = if dialect == "odata" { 201 } else { 200 };
        assert_eq!(outcome.unwrap().0, expected, "{dialect}");
    }
}

#[tokio::test(start_paused = true)]
async fn problems_are_those_of_jobs_or_of_requests() {
    let server = Script::new()
        .pending("/work/1", SECOND)
        .problem(ProblemType::JobLost)
        .server();
    let error = call(layer(), &server).await.unwrap_err();
    assert_eq!(error.job_state(), Some(JobState::Lost));
    assert_eq!(
        error.problem().unwrap().problem_type(),
        Some(ProblemType::JobLost)
    );
    server.assert_finished();

    let full = Problem::new(ProblemType::CapacityExhausted).with_detail("64 jobs wait");
    let server = Script::new().problem(full).server();
    let response = server.oneshot(Request::new(())).await.unwrap();
    assert_eq!(response.status(), 503);
    assert!(!response.headers().contains_key("job-status"));
}
