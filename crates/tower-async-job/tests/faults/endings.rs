//! Handlers that fail, never end, or answer too much.

use std::{
    convert::Infallible,
    io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use crate::{
    assert_problem, builder, submit,
    support::{
        self, Answer, Body, SECOND, ask, call, eager, get, grpc, handler, post, request, send,
        slow, stream, watched, wrap,
    },
};
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use tokio::time::sleep;
use tower::{BoxError, Layer, service_fn};
use tower_async_job::{JobBody, JobContext, http_polling::Problem, store::Retention};

#[tokio::test(start_paused = true)]
async fn s31_deferred_panic_is_stored_and_the_layer_lives_on() {
    let layer = eager(builder().limits(1, 0));
    let panics = handler(|_| async {
        sleep(SECOND).await;
        panic!("secret: boom")
    });
    let location = submit(&layer, panics).await;
    sleep(2 * SECOND).await;
    let answer = ask(&layer, get(&location)).await;
    assert_problem(
        &answer,
        StatusCode::INTERNAL_SERVER_ERROR,
        "failed",
        "job-failed",
    );
    let text = String::from_utf8_lossy(&answer.body);
    assert!(
        !text.contains("secret"),
        "the panic's message is for the log: {text}"
    );
    // Its place was released.
    let location = submit(&layer, slow(SECOND, "fine")).await;
    sleep(2 * SECOND).await;
    assert_eq!(ask(&layer, get(&location)).await.body, "fine");
}

#[tokio::test(start_paused = true)]
async fn s31_panic_in_the_response_body_is_stored() {
    struct Panics;
    impl http_body::Body for Panics {
        type Data = Bytes;
        type Error = Infallible;
        fn poll_frame(
            self: std::pin::Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Option<Result<http_body::Frame<Bytes>, Infallible>>> {
            panic!("boom")
        }
    }
    let layer = eager(builder());
    let inner = service_fn(|_: Request<JobBody<Body>>| async {
        sleep(SECOND).await;
        Ok::<_, Infallible>(Response::new(Panics))
    });
    let accepted = Answer::of(call(&layer.layer(inner), post("/report")).await)
        .await
        .pending();
    sleep(2 * SECOND).await;
    let answer = ask(&layer, get(accepted.location())).await;
    assert_problem(
        &answer,
        StatusCode::INTERNAL_SERVER_ERROR,
        "failed",
        "job-failed",
    );
}

#[tokio::test(start_paused = true)]
async fn s31_panic_in_a_destructor_does_not_leave_the_job_running() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("boom")
        }
    }
    let layer = eager(builder().job_deadline(5 * SECOND));
    let handler = handler(|_| async {
        let _bomb = Bomb;
        std::future::pending().await
    });
    let location = submit(&layer, handler).await;
    sleep(6 * SECOND).await;
    let answer = ask(&layer, get(&location)).await;
    assert_problem(
        &answer,
        StatusCode::GATEWAY_TIMEOUT,
        "timed-out",
        "job-timed-out",
    );
}

#[tokio::test(start_paused = true)]
async fn service_error_of_a_job_is_stored_without_its_words() {
    let layer = eager(builder());
    let inner = service_fn(|_: Request<JobBody<Body>>| async {
        sleep(SECOND).await;
        Err::<Response<Body>, _>(std::io::Error::other("secret"))
    });
    let accepted = send(&layer.layer(inner), post("/report")).await.pending();
    sleep(2 * SECOND).await;
    let answer = ask(&layer, get(accepted.location())).await;
    assert_problem(
        &answer,
        StatusCode::INTERNAL_SERVER_ERROR,
        "failed",
        "job-failed",
    );
    assert!(!String::from_utf8_lossy(&answer.body).contains("secret"));
}

#[tokio::test(start_paused = true)]
async fn s33_handler_that_never_ends_is_timed_out_and_dropped() {
    let layer = eager(builder().job_deadline(60 * SECOND));
    let (handler, lifeline, _) = watched(Duration::from_secs(1_000_000), "never");
    let location = submit(&layer, handler).await;
    sleep(59 * SECOND).await;
    assert!(lifeline.is_alive());
    sleep(2 * SECOND).await;
    assert!(!lifeline.is_alive());
    let answer = ask(&layer, get(&location)).await;
    assert_problem(
        &answer,
        StatusCode::GATEWAY_TIMEOUT,
        "timed-out",
        "job-timed-out",
    );
}

#[tokio::test(start_paused = true)]
async fn s33_work_that_went_on_elsewhere_sees_that_the_deadline_has_passed() {
    let kept = Arc::new(std::sync::Mutex::new(None));
    let keep = kept.clone();
    let handler = handler(move |request| {
        *keep.lock().expect("unpoisoned") = Some(JobContext::of(&request));
        std::future::pending()
    });
    submit(&eager(builder().job_deadline(60 * SECOND)), handler).await;
    let context = kept.lock().expect("unpoisoned").take().expect("called");
    sleep(59 * SECOND).await;
    assert!(!context.is_cancelled());
    sleep(2 * SECOND).await;
    assert!(context.is_cancelled());
}

#[tokio::test(start_paused = true)]
async fn s33_job_that_waits_for_its_turn_for_ever_is_timed_out() {
    let layer = eager(builder().limits(1, 1).job_deadline(60 * SECOND));
    let first = submit(&layer, handler(|_| std::future::pending())).await;
    sleep(SECOND).await;
    let (handler, lifeline, _) = watched(Duration::from_secs(1_000), "never");
    let second = submit(&layer, handler).await;
    // The first job's end makes room; the second had its full time nevertheless.
    sleep(58 * SECOND).await;
    assert_eq!(
        ask(&layer, get(&second))
            .await
            .pending()
            .header("job-status"),
        "queued"
    );
    sleep(3 * SECOND).await;
    for location in [&first, &second] {
        assert_eq!(
            ask(&layer, get(location)).await.header("job-status"),
            "timed-out"
        );
    }
    assert!(!lifeline.is_alive());
}

#[tokio::test(start_paused = true)]
async fn s33_no_duration_is_too_long() {
    let longest = Duration::MAX;
    let layer = eager(
        builder()
            .job_deadline(longest)
            .cancellation_grace(longest)
            .report_interval(longest)
            .request_read_timeout(longest)
            .retention(Retention::new(longest, longest)),
    );
    let reports = handler(|request| async move {
        let job = JobContext::of(&request);
        job.progress(0.1);
        sleep(SECOND).await;
        job.progress(0.2);
        sleep(SECOND).await;
        Response::new(Body::from("done"))
    });
    let location = submit(&layer, reports).await;
    sleep(3 * SECOND).await;
    assert_eq!(ask(&layer, get(&location)).await.body, "done");
    let (stubborn, lifeline, _) = watched(10 * SECOND, "late");
    let location = submit(&layer, stubborn).await;
    ask(&layer, request(Method::DELETE, &location)).await;
    sleep(5 * SECOND).await;
    assert!(lifeline.is_alive());
    let inner = service_fn(|request: Request<JobBody<support::Stream>>| async {
        request.into_body().collect().await.expect("whole");
        sleep(SECOND).await;
        Ok::<_, Infallible>(Response::new(Body::default()))
    });
    let (mut sender, body) = stream();
    tokio::spawn(async move {
        for _ in 0..3 {
            sleep(SECOND).await;
            sender.send_data("part".into()).await.expect("read");
        }
    });
    Answer::of(call(&layer.layer(inner), support::upload("/report", body)).await)
        .await
        .pending();
}

#[tokio::test(start_paused = true)]
async fn s34_response_body_that_breaks_half_way_is_no_result() {
    let layer = eager(builder());
    let inner = service_fn(|_: Request<JobBody<Body>>| async {
        let (mut sender, body) = stream();
        tokio::spawn(async move {
            sender
                .send_data("the first half".into())
                .await
                .expect("read");
            sleep(SECOND).await;
            sender.abort("secret".into());
        });
        sleep(SECOND).await;
        Ok::<_, Infallible>(Response::new(body))
    });
    let accepted = Answer::of(call(&layer.layer(inner), post("/report")).await)
        .await
        .pending();
    sleep(5 * SECOND).await;
    let answer = ask(&layer, get(accepted.location())).await;
    assert_problem(
        &answer,
        StatusCode::INTERNAL_SERVER_ERROR,
        "failed",
        "job-failed",
    );
    let text = String::from_utf8_lossy(&answer.body);
    assert!(!text.contains("secret") && !text.contains("half"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn s34_error_that_is_a_problem_is_that_of_its_job() {
    let problem = |status| {
        let mut problem = Problem::default().with_detail("the server behind is gone");
        problem.status = Some(status);
        problem
    };
    let of_another_server = io::Error::other(problem(502));
    let errors: [(BoxError, u16); 3] = [
        (problem(502).into(), 502),
        (problem(302).into(), 500),
        (of_another_server.into(), 500),
    ];
    for (error, status) in errors {
        let layer = eager(builder());
        let error = Arc::new(Mutex::new(Some(error)));
        let inner = service_fn(move |_: Request<JobBody<Body>>| {
            let error = error.clone();
            async move {
                sleep(SECOND).await;
                let error = error.lock().expect("no panic").take().expect("one call");
                let frames = [Ok(Frame::data(Bytes::from("the first half"))), Err(error)];
                Ok::<_, Infallible>(Response::new(StreamBody::new(tokio_stream::iter(frames))))
            }
        });
        let accepted = Answer::of(call(&layer.layer(inner), post("/report")).await)
            .await
            .pending();
        sleep(5 * SECOND).await;
        let answer = ask(&layer, get(accepted.location())).await;
        assert_eq!(
            (answer.status.as_u16(), answer.header("job-status")),
            (status, "failed")
        );
        let is_told = answer.json()["detail"] == "the server behind is gone";
        assert_eq!(is_told, status == 502);
    }
}

/// A body of endless chunks of 1 KiB.
struct Endless(Arc<AtomicUsize>);

impl http_body::Body for Endless {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<http_body::Frame<Bytes>, Infallible>>> {
        self.0.fetch_add(1, Ordering::SeqCst);
        std::task::Poll::Ready(Some(Ok(http_body::Frame::data(Bytes::from_static(
            &[7; 1024],
        )))))
    }
}

#[tokio::test(start_paused = true)]
async fn s35_s57_endless_response_ends_at_the_result_limit() {
    let chunks = Arc::new(AtomicUsize::new(0));
    let counted = chunks.clone();
    let layer = eager(builder().result_limit(64 << 10));
    let inner = service_fn(move |_: Request<JobBody<Body>>| {
        let counted = counted.clone();
        async move {
            sleep(SECOND).await;
            Ok::<_, Infallible>(Response::new(Endless(counted)))
        }
    });
    let response = call(&layer.layer(inner), post("/report")).await;
    let location = response.headers()["location"]
        .to_str()
        .expect("text")
        .to_owned();
    sleep(2 * SECOND).await;
    let answer = ask(&layer, get(&location)).await;
    assert_problem(
        &answer,
        StatusCode::INTERNAL_SERVER_ERROR,
        "failed",
        "result-too-large",
    );
    assert_eq!(chunks.load(Ordering::SeqCst), 65);
}

#[tokio::test(start_paused = true)]
async fn s35_result_of_exactly_the_limit_is_kept_and_one_byte_more_is_not() {
    for (length, status) in [
        (1000, StatusCode::OK),
        (1001, StatusCode::INTERNAL_SERVER_ERROR),
    ] {
        let layer = eager(builder().result_limit(1000));
        let handler = handler(move |_| async move {
            sleep(SECOND).await;
            Response::new(Body::from(vec![b'x'; length]))
        });
        let location = submit(&layer, handler).await;
        sleep(2 * SECOND).await;
        assert_eq!(ask(&layer, get(&location)).await.status, status);
    }
}

#[tokio::test(start_paused = true)]
async fn s57_event_stream_that_was_deferred_ends_with_the_deadline() {
    let layer = eager(builder().job_deadline(60 * SECOND));
    let inner = service_fn(|_: Request<JobBody<Body>>| async {
        sleep(SECOND).await;
        let (mut sender, body) = stream();
        tokio::spawn(async move {
            while sender.send_data("data: x\n\n".into()).await.is_ok() {
                sleep(SECOND).await;
            }
        });
        Ok::<_, Infallible>(Response::new(body))
    });
    let accepted = Answer::of(call(&layer.layer(inner), post("/events")).await)
        .await
        .pending();
    sleep(59 * SECOND).await;
    ask(&layer, get(accepted.location())).await.pending();
    sleep(2 * SECOND).await;
    assert_eq!(
        ask(&layer, get(accepted.location()))
            .await
            .header("job-status"),
        "timed-out"
    );
}

#[tokio::test(start_paused = true)]
async fn grpc_failures_are_trailers_only() {
    let timed_out = eager(builder().job_deadline(2 * SECOND));
    let accepted = send(&wrap(&timed_out, slow(60 * SECOND, "late")), grpc("/s/m"))
        .await
        .pending();
    sleep(3 * SECOND).await;
    let layer = eager(builder());
    let panics = handler(|_| async {
        sleep(SECOND).await;
        panic!("boom")
    });
    let panicked = send(&wrap(&layer, panics), grpc("/s/m")).await.pending();
    let cancelled = send(&wrap(&layer, slow(60 * SECOND, "late")), grpc("/s/m"))
        .await
        .pending();
    ask(&layer, request(Method::DELETE, cancelled.location())).await;
    sleep(2 * SECOND).await;
    for (layer, location, code, state) in [
        (&timed_out, accepted.location(), "4", "timed-out"),
        (&layer, panicked.location(), "13", "failed"),
        (&layer, cancelled.location(), "1", "cancelled"),
    ] {
        let answer = ask(layer, get(location)).await;
        assert_eq!(answer.status, StatusCode::OK);
        assert_eq!(answer.header("content-type"), "application/grpc");
        assert_eq!(answer.header("grpc-status"), code);
        assert_eq!(answer.header("job-status"), state);
        assert!(answer.body.is_empty() && answer.trailers.is_none());
    }
}
