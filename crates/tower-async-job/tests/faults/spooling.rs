//! Uploads that are large, slow, broken or unread.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use crate::{
    assert_trailers_only, builder, faulty, store,
    support::{
        Answer, Body, SECOND, Stream, ask, call, eager,
        faulty::{Fault, FaultyStore, Op},
        get, grpc, handler, post, send, stream, upload, with, wrap,
    },
};
use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::BodyExt;
use tokio::time::{Instant, sleep, timeout};
use tower::{Layer, Service, service_fn};
use tower_async_job::{JobBody, Policy};

/// Returns a handler that sleeps, then answers with the body.
fn late_echo(
    time: Duration,
) -> impl Service<Request<JobBody<Stream>>, Response = Response<Body>, Error = Infallible, Future: Send>
+ Clone
+ Send
+ 'static {
    service_fn(move |request: Request<JobBody<Stream>>| async move {
        sleep(time).await;
        let body = match request.into_body().collect().await {
            Ok(body) => body.to_bytes(),
            Err(error) => Bytes::from(error.to_string()),
        };
        Ok(Response::new(Body::from(body)))
    })
}

#[tokio::test(start_paused = true)]
async fn s36_request_over_the_spool_limit_stays_inline() {
    let store = Arc::new(store());
    let service = eager(faulty(&store).request_spool(10)).layer(late_echo(5 * SECOND));
    let (mut sender, body) = stream();
    let sending = tokio::spawn(async move {
        for _ in 0..8 {
            sender.send_data("12345".into()).await.expect("read");
            sleep(SECOND / 4).await;
        }
    });
    let begun = Instant::now();
    let answer = Answer::of(call(&service, upload("/report", body)).await).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.body.len(), 40);
    assert_eq!(begun.elapsed(), 5 * SECOND);
    sending.await.expect("no panic");
    assert_eq!(store.all_calls(), 0);
}

#[tokio::test(start_paused = true)]
async fn s36_upload_that_the_handler_keeps_up_with_may_be_of_any_length() {
    let inner = service_fn(|request: Request<JobBody<Stream>>| async {
        let length = request
            .into_body()
            .collect()
            .await
            .expect("whole")
            .to_bytes()
            .len();
        sleep(5 * SECOND).await;
        Ok::<_, Infallible>(Response::new(Body::from(length.to_string())))
    });
    let layer = eager(builder().request_spool(10));
    let service = layer.layer(inner);
    let (mut sender, body) = stream();
    tokio::spawn(async move {
        for _ in 0..100 {
            sender.send_data("1234567".into()).await.expect("read");
            sleep(SECOND / 100).await;
        }
    });
    let accepted = Answer::of(call(&service, upload("/report", body)).await)
        .await
        .pending();
    sleep(6 * SECOND).await;
    assert_eq!(ask(&layer, get(accepted.location())).await.body, "700");
}

#[tokio::test(start_paused = true)]
async fn s36_request_over_the_spool_limit_is_refused_where_configured() {
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = calls.clone();
    let handler = handler(move |_| {
        counted.fetch_add(1, Ordering::SeqCst);
        async { Response::new(Body::default()) }
    });
    let service = wrap(
        &eager(builder().request_spool(10).refuse_large_requests(true)),
        handler,
    );
    let refused = send(&service, with(post("/report"), "content-length", "11")).await;
    assert_eq!(refused.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(refused.header("content-type"), "application/problem+json");
    assert_eq!(refused.header("retry-after"), "");
    let refused = send(
        &service,
        with(grpc("/pkg.Service/Method"), "content-length", "11"),
    )
    .await;
    assert_trailers_only(&refused, "8");
    assert_eq!(calls.load(Ordering::SeqCst), 0);
    let fits = send(&service, with(post("/report"), "content-length", "10")).await;
    assert_eq!(fits.status, StatusCode::OK);
    assert_eq!(calls.load(Ordering::SeqCst), 1);
}

/// A body of endless frames of zero bytes or one.
struct Crumbs {
    frame: &'static [u8],
    polled: Arc<AtomicUsize>,
}

impl http_body::Body for Crumbs {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let polled = self.polled.fetch_add(1, Ordering::SeqCst);
        assert!(polled < 10_000_000, "the spool takes any number of frames");
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(self.frame)))))
    }
}

#[tokio::test(start_paused = true)]
async fn s36_upload_in_crumbs_takes_no_more_memory_than_the_limit_allows() {
    for frame in [&b""[..], b"x"] {
        let polled = Arc::new(AtomicUsize::new(0));
        let body = Crumbs {
            frame,
            polled: polled.clone(),
        };
        let inner = service_fn(|request: Request<JobBody<Crumbs>>| async move {
            sleep(5 * SECOND).await;
            drop(request);
            Ok::<_, Infallible>(Response::new(Body::from("inline")))
        });
        let service = eager(builder()).layer(inner);
        let request = Request::post("/report").body(body).expect("valid");
        assert_eq!(
            Answer::of(call(&service, request).await).await.body,
            "inline"
        );
        let kept = polled.load(Ordering::SeqCst) * size_of::<Frame<Bytes>>();
        assert!(
            kept < 8 << 20,
            "{kept} bytes for frames of {} bytes",
            frame.len()
        );
    }
}

#[tokio::test(start_paused = true)]
async fn s36_upload_that_breaks_while_it_is_spooled_is_seen_by_the_handler_and_makes_no_job() {
    let store = Arc::new(store());
    let service = eager(faulty(&store)).layer(late_echo(5 * SECOND));
    let (mut sender, body) = stream();
    tokio::spawn(async move {
        sender.send_data("a part".into()).await.expect("read");
        sleep(SECOND).await;
        sender.abort("cable cut".into());
    });
    let answer = Answer::of(call(&service, upload("/report", body)).await).await;
    assert_eq!(answer.body, "cable cut");
    assert_eq!(store.all_calls(), 0);
}

#[tokio::test(start_paused = true)]
async fn s37_slow_upload_is_given_up_without_a_job() {
    let store = Arc::new(store());
    let layer = faulty(&store)
        .request_read_timeout(10 * SECOND)
        .request_read_rate(0)
        .build()
        .expect("valid");
    let service = layer.layer(late_echo(Duration::ZERO));
    let (mut sender, body) = stream();
    let begun = Instant::now();
    let sending = tokio::spawn(async move {
        // An upload that still moves is waited for.
        for _ in 0..3 {
            sender.send_data("drip".into()).await.expect("read");
            sleep(9 * SECOND).await;
        }
        sleep(60 * SECOND).await;
        assert!(
            sender.send_data("drip".into()).await.is_err(),
            "the upload is still read"
        );
    });
    let answer = Answer::of(call(&service, upload("/report", body)).await).await;
    assert_eq!(answer.status, StatusCode::REQUEST_TIMEOUT);
    assert_eq!(answer.header("content-type"), "application/problem+json");
    assert_eq!(begun.elapsed(), 28 * SECOND);
    assert_eq!(store.all_calls(), 0);
    sending.await.expect("no panic");
}

#[tokio::test(start_paused = true)]
async fn s37_pace_of_an_upload_is_its_policy_s() {
    type Change = fn(&mut Policy);
    let changes: [(Change, u64); 4] = [
        (|_| (), 30),
        (|own| own.request_read_timeout = 10 * SECOND, 10),
        (|own| own.request_read_deadline = 5 * SECOND, 5),
        (|own| own.request_read_rate = 0, 600),
    ];
    for (change, seconds) in changes {
        for key in ["", "a-key"] {
            let mut policy = Policy::default();
            policy.inline_wait = Duration::ZERO;
            change(&mut policy);
            let policy = Arc::new(policy);
            let layer = builder().policy(move |_| policy.clone()).build();
            let service = layer.expect("valid").layer(late_echo(Duration::ZERO));
            let (mut sender, body) = stream();
            tokio::spawn(async move {
                while sender.send_data("drip".into()).await.is_ok() {
                    sleep(20 * SECOND).await;
                }
            });
            let mut request = upload("/report", body);
            if !key.is_empty() {
                let key = HeaderValue::from_static(key);
                request.headers_mut().insert("idempotency-key", key);
            }
            let begun = Instant::now();
            let answer = Answer::of(call(&service, request).await).await;
            assert_eq!(answer.status, StatusCode::REQUEST_TIMEOUT);
            assert_eq!(begun.elapsed().as_secs(), seconds, "{key}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn s37_slow_grpc_upload_is_given_up_trailers_only() {
    let service = eager(builder()).layer(late_echo(Duration::ZERO));
    let (_sender, body) = stream();
    let (parts, _) = grpc("/pkg.Service/Method").into_parts();
    let answer = Answer::of(call(&service, Request::from_parts(parts, body)).await).await;
    assert_trailers_only(&answer, "4");
}

#[tokio::test(start_paused = true)]
async fn upload_that_the_handler_ignores_is_read_but_not_kept() {
    let inner = service_fn(|request: Request<JobBody<Stream>>| async {
        drop(request);
        sleep(30 * SECOND).await;
        Ok::<_, Infallible>(Response::new(Body::from("done")))
    });
    let service = eager(builder().request_spool(10)).layer(inner);
    let (mut sender, body) = stream();
    tokio::spawn(async move {
        for _ in 0..100 {
            sender.send_data("1234567".into()).await.expect("read");
            sleep(SECOND / 100).await;
        }
    });
    Answer::of(call(&service, upload("/report", body)).await)
        .await
        .pending();
}

#[tokio::test(start_paused = true)]
async fn s17_request_is_not_read_while_the_store_is_known_to_be_unavailable() {
    let faults = 1000;
    let store = FaultyStore::shared(30 * SECOND);
    let store = store.times(Op::Create, Fault::Unavailable, faults);
    let store = Arc::new(store.times(Op::Sweep, Fault::Unavailable, faults));
    let service = eager(faulty(&store)).layer(late_echo(SECOND));
    let keyed = |body| with(upload("/report", body), "idempotency-key", "\"a\"");
    let (sender, body) = stream();
    drop(sender);
    let refused = Answer::of(call(&service, keyed(body)).await).await;
    assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE);
    sleep(60 * SECOND).await;
    let mut unread = Vec::new();
    let mut refused = 0;
    // The first finds out whether the store is still unavailable.
    for _ in 0..3 {
        let (sender, body) = stream();
        unread.push(sender);
        let answer = timeout(SECOND / 10, call(&service, keyed(body))).await;
        if let Ok(answer) = answer {
            let answer = Answer::of(answer).await;
            assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
            assert_eq!(answer.header("retry-after"), "5");
            refused += 1;
        }
    }
    assert_eq!(refused, 2);
}
