//! Uploads that trickle, stand still, or never end, while a handler or the layer waits for them.

use std::{convert::Infallible, time::Duration};

use crate::support::{self, Answer, Body, SECOND, Stream, call, eager, stream, upload, with};
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use tokio::{
    task::JoinHandle,
    time::{Instant, sleep},
};
use tower::{Layer, Service, service_fn};
use tower_async_job::{AsyncJobLayer, Builder, JobBody, OnDisconnect, store::Principal};

fn builder() -> Builder {
    AsyncJobLayer::builder()
}

/// Returns a handler that answers with the length of the body once it is read.
fn reading()
-> impl Service<Request<JobBody<Stream>>, Response = Response<Body>, Error = Infallible, Future: Send>
+ Clone
+ Send
+ 'static {
    service_fn(|request: Request<JobBody<Stream>>| async {
        let length = match request.into_body().collect().await {
            Ok(body) => body.to_bytes().len(),
            Err(_) => 0,
        };
        Ok(Response::new(Body::from(length.to_string())))
    })
}

/// Sends `bytes` at a time until the reader is gone or all are sent.
fn drip(bytes: usize, every: Duration, times: usize) -> (Stream, JoinHandle<()>) {
    let (mut sender, body) = stream();
    let sending = tokio::spawn(async move {
        for _ in 0..times {
            let data = Bytes::from(vec![b'x'; bytes]);
            if sender.send_data(data).await.is_err() {
                return;
            }
            sleep(every).await;
        }
    });
    (body, sending)
}

const FOR_EVER: usize = 1_000_000;

#[tokio::test(start_paused = true)]
async fn s70_upload_that_drips_is_given_up_wherever_it_is_read() {
    let inline = builder()
        .inline_wait(3600 * SECOND)
        .max_inline_wait(3600 * SECOND);
    let never = builder().defer_when(|_| false).limits(1, 0);
    let too_large = builder().request_spool(10);
    let layers = [
        inline.build().expect("valid"),
        never.build().expect("valid"),
        eager(builder()),
        eager(too_large),
    ];
    for (index, layer) in layers.into_iter().enumerate() {
        for key in [false, true] {
            let (body, _) = drip(2, SECOND, FOR_EVER);
            let mut request = upload("/report", body);
            if key {
                request = with(request, "idempotency-key", "k");
            }
            let begun = Instant::now();
            let answer = Answer::of(call(&layer.layer(reading()), request).await).await;
            if index == 3 && key {
                assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
                continue;
            }
            assert_eq!(
                answer.status,
                StatusCode::REQUEST_TIMEOUT,
                "layer {index}, {key}"
            );
            let took = begun.elapsed();
            assert!(
                (30 * SECOND..32 * SECOND).contains(&took),
                "layer {index}, {key}: {took:?}"
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn s70_uploads_that_drip_do_not_shut_out_others() {
    let layer = builder().limits(4, 0).build().expect("valid");
    let service = layer.layer(reading());
    let mut dripping = Vec::new();
    for _ in 0..4 {
        let (body, _) = drip(2, SECOND, FOR_EVER);
        let mut service = service.clone();
        dripping.push(tokio::spawn(service.call(upload("/report", body))));
    }
    sleep(SECOND).await;
    let honest = || {
        let (body, _) = drip(10, Duration::ZERO, 1);
        upload("/report", body)
    };
    let refused = call(&service, honest()).await;
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    sleep(31 * SECOND).await;
    let answer = Answer::of(call(&service, honest()).await).await;
    assert_eq!(answer.body, "10");
    for answer in dripping {
        let Ok(answer) = answer.await.expect("answered");
        assert_eq!(answer.status(), StatusCode::REQUEST_TIMEOUT);
    }
}

#[tokio::test(start_paused = true)]
async fn s70_slow_phone_passes() {
    let never = builder().defer_when(|_| false).limits(1, 0);
    for layer in [eager(builder()), never.build().expect("valid")] {
        // GSM with gaps in reception.
        let (body, _) = drip(24_000, 20 * SECOND, 20);
        let answer = Answer::of(call(&layer.layer(reading()), upload("/report", body)).await).await;
        if answer.status == StatusCode::OK {
            assert_eq!(answer.body, "480000");
        } else {
            answer.pending();
        }
    }
}

#[tokio::test(start_paused = true)]
async fn s70_upload_that_takes_too_long_altogether_is_given_up() {
    let layer = eager(builder().request_read_deadline(100 * SECOND));
    let (body, _) = drip(1_000, SECOND, FOR_EVER);
    let begun = Instant::now();
    let answer = Answer::of(call(&layer.layer(reading()), upload("/report", body)).await).await;
    assert_eq!(answer.status, StatusCode::REQUEST_TIMEOUT);
    let took = begun.elapsed();
    assert!((100 * SECOND..102 * SECOND).contains(&took), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn s70_time_in_which_the_handler_does_not_read_is_not_the_client_s() {
    let late = service_fn(|request: Request<JobBody<Stream>>| async {
        sleep(500 * SECOND).await;
        let body = request.into_body().collect().await.expect("whole");
        let length = body.to_bytes().len();
        Ok::<_, Infallible>(Response::new(Body::from(length.to_string())))
    });
    let layer = builder().defer_when(|_| false).limits(1, 0);
    let service = layer.build().expect("valid").layer(late);
    let (body, _) = drip(10, SECOND, 25);
    let answer = Answer::of(call(&service, upload("/report", body)).await).await;
    assert_eq!(answer.body, "250");
}

#[tokio::test(start_paused = true)]
async fn s70_handler_that_turns_to_something_else_does_not_make_the_client_late() {
    let turning = service_fn(|request: Request<JobBody<Stream>>| async {
        let mut body = request.into_body();
        let first = tokio::time::timeout(SECOND, body.frame()).await;
        assert!(first.is_err(), "nothing has come");
        sleep(300 * SECOND).await;
        let length = body.collect().await.expect("whole").to_bytes().len();
        Ok::<_, Infallible>(Response::new(Body::from(length.to_string())))
    });
    let layer = builder().defer_when(|_| false).limits(1, 0);
    let service = layer.build().expect("valid").layer(turning);
    let (mut sender, body) = stream();
    let sending = tokio::spawn(async move {
        sleep(10 * SECOND).await;
        for _ in 0..10 {
            sender.send_data("12345".into()).await.expect("read");
        }
    });
    let answer = Answer::of(call(&service, upload("/report", body)).await).await;
    assert_eq!(answer.body, "50");
    sending.await.expect("no panic");
}

#[tokio::test(start_paused = true)]
async fn s70_reader_in_another_task_is_waited_for_no_longer() {
    let elsewhere = service_fn(|request: Request<JobBody<Stream>>| async {
        let length = tokio::spawn(async {
            sleep(5 * SECOND).await;
            request
                .into_body()
                .collect()
                .await
                .map_or(0, |body| body.to_bytes().len())
        });
        let length = length.await.expect("no panic");
        Ok::<_, Infallible>(Response::new(Body::from(length.to_string())))
    });
    let layer = builder().defer_when(|_| false).limits(1, 0);
    let service = layer.build().expect("valid").layer(elsewhere);
    let (body, _) = drip(2, SECOND, FOR_EVER);
    let begun = Instant::now();
    let answer = Answer::of(call(&service, upload("/report", body)).await).await;
    assert_eq!(answer.status, StatusCode::REQUEST_TIMEOUT);
    assert!(begun.elapsed() < 70 * SECOND, "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn s70_spool_room_of_one_principal_is_not_all() {
    let layer = eager(
        builder()
            .principal(|head| Some(Principal::new(head.headers.get("x-user")?.to_str().ok()?)))
            .spool_room_per_principal(100),
    );
    let late = service_fn(|request: Request<JobBody<Stream>>| async {
        sleep(60 * SECOND).await;
        let body = request.into_body().collect().await.expect("whole");
        let length = body.to_bytes().len();
        Ok::<_, Infallible>(Response::new(Body::from(length.to_string())))
    });
    let service = layer.layer(late);
    let of = |user, key| {
        let (body, _) = drip(80, SECOND / 10, 1);
        let request = with(upload("/report", body), "x-user", user);
        match key {
            true => with(request, "idempotency-key", "k"),
            false => request,
        }
    };
    let first = Answer::of(call(&service, of("a", false)).await)
        .await
        .pending();
    assert_eq!(first.header("job-status"), "running");
    let keyed = Answer::of(call(&service, of("a", true)).await).await;
    assert_eq!(keyed.status, StatusCode::TOO_MANY_REQUESTS);
    let inline = Answer::of(call(&service, of("a", false)).await).await;
    assert_eq!(inline.body, "80", "it stays inline");
    Answer::of(call(&service, of("b", false)).await)
        .await
        .pending();
}

#[tokio::test(start_paused = true)]
async fn s70_request_that_waits_for_its_turn_takes_a_place_when_it_is_there() {
    let layer = eager(builder().limits(1, 2));
    let mut service = layer.layer(reading());
    let held = stream();
    let mut running = tokio_test::task::spawn(service.call(upload("/a", held.1)));
    tokio_test::assert_pending!(running.poll());
    let (body, _) = drip(1_000, SECOND, 20);
    let slow = tokio::spawn(service.call(upload("/b", body)));
    sleep(SECOND).await;
    drop(running);
    let (body, _) = drip(10, Duration::ZERO, 1);
    let honest = Answer::of(call(&service, upload("/c", body)).await).await;
    let why = "the one that is still read holds no place";
    assert_eq!(honest.header("job-status"), "running", "{why}");
    let Ok(slow) = slow.await.expect("answered");
    let accepted = Answer::of(slow).await;
    assert_eq!(accepted.header("job-status"), "running");
    sleep(SECOND).await;
    let poll = http::Request::get(accepted.location()).body(Body::default());
    let result = support::ask(&layer, poll.expect("valid")).await;
    assert_eq!(result.body, "20000");
}

#[tokio::test(start_paused = true)]
async fn s70_upload_that_is_broken_off_in_the_queue_leaves_no_place_taken() {
    for policy in [OnDisconnect::Cancel, OnDisconnect::Detach] {
        let layer = eager(builder().limits(1, 1).on_disconnect(policy));
        let mut service = layer.layer(reading());
        let held = stream();
        let mut running = tokio_test::task::spawn(service.call(upload("/a", held.1)));
        tokio_test::assert_pending!(running.poll());
        let (sender, body) = stream();
        let mut queued = tokio_test::task::spawn(service.call(upload("/b", body)));
        tokio_test::assert_pending!(queued.poll());
        drop(queued);
        sender.abort("the client has gone".into());
        drop((running, held.0));
        sleep(SECOND).await;
        // One runs, and one waits.
        let held = [(); 2].map(|()| stream());
        let held = held.map(|(sender, body)| {
            let mut call = tokio_test::task::spawn(service.call(upload("/c", body)));
            tokio_test::assert_pending!(call.poll(), "{policy:?}");
            (sender, call)
        });
        drop(held);
    }
}
