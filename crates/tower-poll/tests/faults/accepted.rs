//! Errors after a job was accepted: they have the job, and what the server
//! said.

use std::{error::Error as _, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, Uri};
use http_body::Frame;
use http_body_util::StreamBody;
use http_polling::JobState;
use tokio::time::Instant;
use tower::Layer;
use tower_poll::{
    DoNotWait, Error, Hint, Job, PendingJob, PollLayer, PollService, Refusal,
    dialect::{Answer as Said, Dialect, DialectError, Step},
    policy::policy_fn,
};

use crate::common::{
    Answer, Script, TestBody, answer, answer_with, exact, exact_layer, post, see_other, send, text,
};

const URL: &str = "https://example.com/report";

/// The error of a call whose submission is answered by `first`, and each poll
/// by `then`.
async fn error_of(first: fn() -> Answer, then: fn() -> Answer) -> Error {
    let script = Script::new(move |number, _| match number {
        0 => first(),
        _ => then(),
    });
    let layer = exact_layer().not_found_grace(Duration::ZERO);
    send(layer, &script, post(URL)).await.unwrap_err()
}

fn accepted() -> Answer {
    see_other("/work/1")
}

fn url_of(error: &Error) -> &Uri {
    error.pending_job().expect("a job").url()
}

/// Of each kind of error: the answers, and what is told.
#[tokio::test(start_paused = true)]
async fn c28_every_error_after_the_acceptance_has_the_job_and_what_the_server_said() {
    const JSON: &[(&str, &str)] = &[("content-type", "application/json")];
    type Case = (
        &'static str,
        fn() -> Answer,
        fn() -> Answer,
        fn(&Error) -> bool,
        &'static str,
        u16,
    );
    let cases: [Case; 18] = [
        (
            "another origin",
            || answer_with(202, &[("location", "https://other.example/7")], "words"),
            accepted,
            |error| {
                let origin = Uri::from_static("https://other.example");
                error.is_cross_origin() && error.hint() == Some(&Hint::AllowOrigin(origin))
            },
            "https://other.example/7",
            202,
        ),
        (
            "http",
            || {
                let headers = [("location", "http://example.com/7"), ("retry-after", "1")];
                answer_with(303, &headers, "words")
            },
            accepted,
            |error| error.is_cross_origin() && error.hint() == Some(&Hint::HttpsProxy),
            "http://example.com/7",
            303,
        ),
        (
            "an unreadable Location",
            || answer_with(202, &[("location", "/jobs/100%")], "words"),
            accepted,
            |error| error.is_bad_location() && error.headers().unwrap()["location"] == "/jobs/100%",
            "https://example.com/jobs/100%25",
            202,
        ),
        (
            "two Locations",
            || answer_with(202, &[("location", "/a"), ("location", "/b")], "words"),
            accepted,
            Error::is_bad_location,
            "https://example.com/a",
            202,
        ),
        (
            "another origin later",
            accepted,
            || {
                let headers = [("location", "https://other.example/signed")];
                answer_with(302, &headers, "words")
            },
            |error| error.is_cross_origin() && error.hint().is_some(),
            "https://example.com/work/1",
            302,
        ),
        (
            "an unreadable Location later",
            accepted,
            || answer_with(303, &[("location", "file:///x")], "words"),
            Error::is_bad_location,
            "https://example.com/work/1",
            303,
        ),
        (
            "401",
            accepted,
            || answer_with(401, &[("www-authenticate", "Key")], "words"),
            |error| {
                error.is_unauthorized()
                    && error.hint() == Some(&Hint::KeepHeader)
                    && error.headers().unwrap()["www-authenticate"] == "Key"
            },
            "https://example.com/work/1",
            401,
        ),
        (
            "403",
            accepted,
            || answer_with(403, &[], "words"),
            |error| error.is_unauthorized() && error.hint() == Some(&Hint::KeepHeader),
            "https://example.com/work/1",
            403,
        ),
        (
            "404",
            accepted,
            || answer_with(404, &[], "words"),
            |error| {
                error.job_state() == Some(JobState::Unknown)
                    && error.hint() == Some(&Hint::PublicBase)
            },
            "https://example.com/work/1",
            404,
        ),
        (
            "410",
            accepted,
            || answer_with(410, &[], "words"),
            |error| error.job_state() == Some(JobState::Expired),
            "https://example.com/work/1",
            410,
        ),
        (
            "a failed job",
            accepted,
            || answer_with(500, &[("job-status", "failed")], "words"),
            |error| error.job_state() == Some(JobState::Failed) && error.hint().is_none(),
            "https://example.com/work/1",
            500,
        ),
        (
            "a document that is none",
            || answer(202, &[("operation-location", "/monitor")]),
            || answer_with(200, JSON, "words"),
            Error::is_bad_answer,
            "https://example.com/monitor",
            200,
        ),
        (
            "a document that is too long",
            || answer(202, &[("operation-location", "/monitor")]),
            || answer_with(200, JSON, Box::leak("{".repeat(70_000).into_boxed_str())),
            Error::is_bad_answer,
            "https://example.com/monitor",
            200,
        ),
        (
            "a document in a coding that it is not in",
            || answer(202, &[("operation-location", "/monitor")]),
            || answer_with(200, &[JSON[0], ("content-encoding", "gzip")], "words"),
            Error::is_bad_answer,
            "https://example.com/monitor",
            200,
        ),
        (
            "an unreadable Operation-Location (C35)",
            || answer_with(202, &[("operation-location", "/jobs/100%")], "words"),
            accepted,
            Error::is_bad_answer,
            "https://example.com/jobs/100%25",
            202,
        ),
        (
            "two monitors (C35)",
            || {
                let headers = [
                    ("azure-asyncoperation", "/a"),
                    ("azure-asyncoperation", "/b"),
                ];
                answer_with(201, &headers, "words")
            },
            accepted,
            Error::is_bad_answer,
            "https://example.com/a",
            201,
        ),
        (
            "another origin in a document",
            || answer(202, &[("operation-location", "/monitor")]),
            || {
                let there = r#"{"status":"Succeeded","resourceLocation":"https://x.example/"}"#;
                answer_with(200, JSON, there)
            },
            |error| error.is_cross_origin() && error.text().unwrap().contains("resourceLocation"),
            "https://example.com/monitor",
            200,
        ),
        (
            "an operation whose document says that it failed",
            || answer(202, &[("operation-location", "/monitor")]),
            || answer_with(200, JSON, r#"{"status":"Failed"}"#),
            |error| error.job_state() == Some(JobState::Failed) && error.text().is_some(),
            "https://example.com/monitor",
            200,
        ),
    ];
    for (name, first, then, is_right, url, status) in cases {
        let error = error_of(first, then).await;
        assert!(is_right(&error), "{name}: {error:?}");
        assert_eq!(url_of(&error), url, "{name}");
        assert_eq!(error.status().unwrap(), status, "{name}");
        let text = error.text().unwrap();
        assert!(text == "words" || text.starts_with('{'), "{name}: {text}");
        assert!(
            error.to_string().contains(&status.to_string()),
            "{name}: {error}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn c28_errors_that_are_about_no_answer_have_the_job_alone() {
    let refusing = || {
        let mut is_first = true;
        policy_fn(move |_| match std::mem::take(&mut is_first) {
            true => Ok(Duration::from_secs(1)),
            false => Err(Refusal::new("enough")),
        })
    };
    let lost = || Err("reset".into());
    for (name, error) in [
        (
            "deadline",
            run(exact_layer().deadline(Duration::from_secs(9)), accepted).await,
        ),
        ("polls", run(exact_layer().max_polls(2), accepted).await),
        ("wire", run(exact_layer().poll_retries(0), lost).await),
        (
            "policy",
            run(PollLayer::with_policy(refusing()), lost).await,
        ),
    ] {
        assert_eq!(url_of(&error), "https://example.com/work/1", "{name}");
        assert!(
            error.status().is_none() && error.body().is_empty(),
            "{name}"
        );
    }
}

async fn run<P>(layer: PollLayer<P>, then: fn() -> Answer) -> Error
where
    P: tower_poll::PollPolicy + Clone,
{
    let script = Script::new(move |number, _| match number {
        0 => accepted(),
        _ => then(),
    });
    send(layer, &script, post(URL)).await.unwrap_err()
}

#[tokio::test(start_paused = true)]
async fn c28_problem_of_any_error_is_read() {
    let error = error_of(accepted, || {
        let headers = [("content-type", "application/problem+json")];
        answer_with(
            403,
            &headers,
            r#"{"title":"No","detail":"the key is missing"}"#,
        )
    })
    .await;
    assert_eq!(error.problem().unwrap().title.as_deref(), Some("No"));
    let source = error.source().unwrap().to_string();
    assert!(source.ends_with("the key is missing"), "{source}");
}

#[tokio::test(start_paused = true)]
async fn c28_first_64_kib_are_kept_and_no_more_time_is_spent_than_a_moment() {
    let error = error_of(accepted, || {
        answer_with(404, &[], Box::leak("x".repeat(70_000).into_boxed_str()))
    })
    .await;
    assert_eq!(error.body().len(), 64 * 1024);

    let script = Script::new(|number, _| {
        let response = match number {
            0 => Response::builder()
                .status(303)
                .header("location", "/work/1")
                .header("retry-after", "0"),
            _ => Response::builder().status(403),
        };
        // One frame, and then nothing.
        let frames = futures_util::stream::once(async {
            Ok::<_, std::io::Error>(Frame::data(Bytes::from_static(b"some words, \xc3")))
        });
        let frames = futures_util::StreamExt::chain(frames, futures_util::stream::pending());
        Ok(response.body(StreamBody::new(Box::pin(frames)))?)
    });
    let start = Instant::now();
    let result = send(exact_layer(), &script, post(URL)).await;
    let error = result.err().unwrap();
    assert!(error.is_unauthorized());
    assert_eq!(error.text(), Some("some words, "));
    assert!(start.elapsed() < Duration::from_secs(12));
}

#[tokio::test(start_paused = true)]
async fn c28_neither_display_nor_debug_shows_the_url_or_the_words_of_the_server() {
    for first in [
        || answer_with(202, &[("location", "/a/0123456789secret%")], "words"),
        || {
            answer_with(
                202,
                &[("location", "//b.example/0123456789secret")],
                "words",
            )
        },
    ] as [fn() -> Answer; 2]
    {
        let error = error_of(first, accepted).await;
        let shown = format!("{error} {error:?}");
        assert!(
            !shown.contains("secret") && !shown.contains("words"),
            "{shown}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn c28_refused_job_goes_on_where_it_is_allowed() {
    let script = Script::new(|number, _| match number {
        0 => see_other("https://jobs.example/7"),
        _ => answer_with(200, &[], "done"),
    });
    let mut request = post(URL);
    let secret = http::HeaderValue::from_static("Bearer secret");
    request.headers_mut().insert("authorization", secret);
    let headers = request.headers().clone();
    let error = send(exact_layer(), &script, request).await.unwrap_err();
    let stored = serde_json::to_string(&error.into_pending_job().unwrap()).unwrap();
    let job: PendingJob = serde_json::from_str(&stored).unwrap();

    let service: PollService<Script> = exact_layer().layer(script.clone());
    let again: Result<TestJob, _> = service.resume(&job, &headers);
    let again = again.unwrap_err();
    assert!(again.is_cross_origin() && again.status().is_none());
    assert_eq!(url_of(&again), "https://jobs.example/7");
    assert_eq!(script.count(), 1);

    let there = exact().cross_origin([Uri::from_static("https://jobs.example")]);
    let service: PollService<Script> = PollLayer::with_policy(there).layer(script.clone());
    let job: TestJob = service.resume(&job, &headers).unwrap();
    assert_eq!(text(job.wait().await.unwrap()).await, "done");
    assert!(!script.seen()[1].headers.contains_key("authorization"));
}

type TestJob = Job<Script, TestBody, TestBody>;

#[tokio::test(start_paused = true)]
async fn c02_job_that_was_refused_for_http_is_refused_when_it_is_resumed() {
    let script = Script::new(|_, _| see_other("http://example.com/7"));
    let error = send(exact_layer(), &script, post(URL)).await.unwrap_err();
    let policy = exact().cross_origin([Uri::from_static("http://example.com")]);
    let service: PollService<Script> = PollLayer::with_policy(policy).layer(script.clone());
    let job: Result<TestJob, _> = service.resume(error.pending_job().unwrap(), &HeaderMap::new());
    assert!(job.unwrap_err().is_cross_origin());
}

#[tokio::test(start_paused = true)]
async fn c28_path_only_submission_has_the_url_of_a_job_elsewhere() {
    let script = Script::new(|_, _| see_other("https://jobs.example/7"));
    let request = post("/package.Service/Method");
    let error = send(exact_layer(), &script, request).await.unwrap_err();
    let origin = Uri::from_static("https://jobs.example");
    assert_eq!(error.hint(), Some(&Hint::BaseOrigin(origin)));
    assert_eq!(url_of(&error), "https://jobs.example/7");
}

#[tokio::test(start_paused = true)]
async fn c28_caller_that_does_not_wait_is_told_of_the_job_too() {
    for location in ["https://jobs.example/7", "/jobs/100%"] {
        let script = Script::new(move |_, _| answer_with(202, &[("location", location)], "words"));
        let mut request = post(URL);
        request.extensions_mut().insert(DoNotWait);
        let error = send(exact_layer(), &script, request).await.unwrap_err();
        assert_eq!(error.text(), Some("words"));
        assert!(error.pending_job().is_some());

        let mut service: PollService<Script> = exact_layer().layer(script);
        let error = service.submit(post(URL)).await.unwrap_err();
        assert_eq!(error.text(), Some("words"));
        assert!(error.pending_job().is_some());
    }
}

#[tokio::test(start_paused = true)]
async fn c28_location_that_no_url_can_be_made_of_is_in_the_headers() {
    let error = error_of(
        || answer_with(202, &[("location", "file:///etc/passwd")], "words"),
        accepted,
    )
    .await;
    assert!(error.is_bad_location() && error.pending_job().is_none());
    assert_eq!(error.headers().unwrap()["location"], "file:///etc/passwd");
}

/// Reads a document at once, and cannot.
#[derive(Debug)]
struct Broken;

impl Dialect for Broken {
    fn name(&self) -> &'static str {
        "broken"
    }

    fn recognises(&self, _: &Said<'_>) -> bool {
        true
    }

    fn read(&self, answer: &Said<'_>) -> Result<Step, DialectError> {
        match answer.body() {
            None => Ok(Step::NeedsBody),
            Some(_) => Err(DialectError::missing("everything")),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn c28_announcement_that_a_dialect_cannot_read_has_the_job() {
    for (method, headers, url) in [
        (
            "POST",
            &[("location", "/work/1")][..],
            "https://example.com/work/1",
        ),
        ("PUT", &[], URL),
    ] {
        let script = Script::new(move |_, _| answer_with(201, headers, "words"));
        let request = Request::builder().method(method).uri(URL);
        let request = request.body(TestBody::default()).unwrap();
        let layer = exact_layer().dialect(Broken);
        let error = send(layer, &script, request).await.unwrap_err();
        assert!(error.is_bad_answer());
        assert_eq!(url_of(&error), url);
        assert_eq!(error.text(), Some("words"));
    }
}
