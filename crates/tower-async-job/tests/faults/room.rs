//! Room for results: during recording, in a full store, and after delivery.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use crate::support::{
    Answer, Body, Handler, SECOND, Stream, ask, asking, call, eager, get, handler, memory, path_of,
    post, request, send, slow, stream, trailed, with, wrap,
};
use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::BodyExt;
use tokio::time::sleep;
use tower::{Layer, ServiceExt, service_fn};
use tower_async_job::{
    AsyncJobLayer, Builder, JobBody, OnStoreFailure,
    store::{JobStore, MemoryStore, MemoryStoreBuilder, Retention},
};

const MIB: usize = 1 << 20;

fn builder(store: MemoryStoreBuilder) -> (Builder, Arc<MemoryStore>) {
    let store = Arc::new(store.build());
    (AsyncJobLayer::builder().store(store.clone()), store)
}

fn used(store: &MemoryStore) -> usize {
    store.usage().expect("memory knows").bytes
}

/// Returns a handler that answers this number of bytes after a second.
fn large(bytes: usize) -> Handler {
    handler(move |_| async move {
        sleep(SECOND).await;
        Response::new(Body::from(vec![b'x'; bytes]))
    })
}

/// Submits, waits until the job has ended, and returns its URL.
async fn ended(layer: &AsyncJobLayer, handler: Handler, request: Request<Body>) -> String {
    let accepted = send(&wrap(layer, handler), request).await.pending();
    sleep(2 * SECOND).await;
    path_of(accepted.location()).to_owned()
}

async fn state(layer: &AsyncJobLayer, job: &str) -> String {
    let head = ask(layer, request(Method::HEAD, job)).await;
    head.header("job-status").to_owned()
}

/// Returns handlers whose bodies stop after this number of bytes, and counts the handlers.
fn hanging(bytes: usize, begun: &Arc<AtomicUsize>) -> impl FnOnce(&AsyncJobLayer) -> Hanging {
    let begun = begun.clone();
    let inner = service_fn(move |_: Request<JobBody<Body>>| {
        begun.fetch_add(1, Ordering::SeqCst);
        async move {
            sleep(SECOND).await;
            let (mut sender, body) = stream();
            tokio::spawn(async move {
                let chunk = Bytes::from(vec![0; bytes]);
                let _ = sender.send_data(chunk).await;
                std::future::pending::<()>().await;
            });
            Ok::<_, Infallible>(Response::new(body))
        }
    });
    move |layer| layer.layer(tower::util::BoxCloneSyncService::new(inner))
}

type Hanging = tower_async_job::AsyncJob<
    tower::util::BoxCloneSyncService<Request<JobBody<Body>>, Response<Stream>, Infallible>,
>;

#[tokio::test(start_paused = true)]
async fn s68_result_that_is_recorded_keeps_the_place_of_its_job() {
    let begun = Arc::new(AtomicUsize::new(0));
    let (builder, store) = builder(memory());
    let layer = eager(builder.limits(2, 300));
    let service = hanging(15 * MIB, &begun)(&layer);
    for _ in 0..100 {
        Answer::of(call(&service, post("/report")).await)
            .await
            .pending();
    }
    sleep(30 * SECOND).await;
    assert_eq!(begun.load(Ordering::SeqCst), 2);
    assert!(
        (30 * MIB..33 * MIB).contains(&used(&store)),
        "{}",
        used(&store)
    );
}

#[tokio::test(start_paused = true)]
async fn s68_place_is_given_back_once_the_result_is_stored() {
    let (builder, _) = builder(memory());
    let layer = eager(builder.limits(1, 10));
    let service = wrap(&layer, slow(SECOND, "done"));
    let mut jobs = Vec::new();
    for _ in 0..3 {
        jobs.push(send(&service, post("/report")).await.pending());
    }
    sleep(4 * SECOND).await;
    for job in jobs {
        assert_eq!(ask(&layer, get(job.location())).await.body, "done");
    }
}

#[tokio::test(start_paused = true)]
async fn s68_results_that_are_recorded_stay_within_the_store() {
    let (builder, store) = builder(memory().max_bytes(64 * MIB));
    let layer = eager(builder.job_deadline(60 * SECOND));
    let service = hanging(10 * MIB, &Arc::default())(&layer);
    let mut jobs = Vec::new();
    for _ in 0..10 {
        let accepted = call(&service, post("/report")).await;
        jobs.push(Answer::of(accepted).await.pending());
    }
    sleep(10 * SECOND).await;
    assert!(used(&store) <= 64 * MIB);
    let mut failed = 0;
    for job in jobs {
        let answer = ask(&layer, get(job.location())).await;
        if answer.header("job-status") == "failed" {
            failed += 1;
            let problem = answer.json();
            assert_eq!(problem["setting"], "max_bytes");
            assert_eq!(problem["limit"], 64 * MIB);
            assert!(problem["size"].as_u64() >= Some(10 * MIB as u64));
        }
    }
    assert_eq!(failed, 4);
}

#[tokio::test(start_paused = true)]
async fn s68_recordings_wait_for_room_whatever_the_store() {
    let (builder, store) = builder(memory());
    let layer = eager(builder.recording_room(5 * MIB));
    let service = wrap(&layer, large(4 * MIB));
    let mut jobs = Vec::new();
    for _ in 0..4 {
        jobs.push(send(&service, post("/report")).await.pending());
    }
    sleep(2 * SECOND).await;
    for job in jobs {
        assert_eq!(ask(&layer, get(job.location())).await.body.len(), 4 * MIB);
    }
    assert!(used(&store) >= 16 * MIB);
}

#[tokio::test(start_paused = true)]
async fn s73_result_that_does_not_fit_says_the_size_the_limit_and_the_setting() {
    let (builder, _) = builder(memory().max_bytes(MIB));
    let layer = eager(builder.result_limit(2 * MIB));
    for (size, setting, limit, kind) in [
        (MIB + 1, "max_bytes", MIB, "job-failed"),
        (2 * MIB + 1, "result_limit", 2 * MIB, "result-too-large"),
    ] {
        let job = ended(&layer, large(size), post("/report")).await;
        let answer = ask(&layer, get(&job)).await;
        assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR);
        let problem = answer.json();
        assert_eq!(problem["type"], format!("urn:http-polling:problem:{kind}"));
        assert_eq!(problem["setting"], setting);
        assert_eq!(problem["limit"], limit);
        assert_eq!(problem["size"], size);
        assert_eq!(
            problem["detail"],
            format!("the result of {size} bytes could not be kept: `{setting}` is {limit} bytes")
        );
    }
}

#[tokio::test(start_paused = true)]
async fn s73_forty_results_that_were_fetched_make_room_for_more() {
    let (builder, _) = builder(memory());
    let layer = eager(builder);
    for _ in 0..100 {
        let job = ended(&layer, large(10 * MIB), post("/report")).await;
        assert_eq!(ask(&layer, get(&job)).await.body.len(), 10 * MIB);
        sleep(5 * SECOND).await;
    }
}

#[tokio::test(start_paused = true)]
async fn s73_submission_whose_result_will_not_fit_is_refused_early() {
    let (builder, store) = builder(memory().max_bytes(25 * MIB));
    let layer = eager(builder.on_store_failure(OnStoreFailure::Refuse));
    let begun = Arc::new(AtomicUsize::new(0));
    let counted = begun.clone();
    let counting = handler(move |_| {
        counted.fetch_add(1, Ordering::SeqCst);
        async move {
            sleep(SECOND).await;
            Response::new(Body::from(vec![b'x'; 10 * MIB]))
        }
    });
    let first = ended(&layer, counting.clone(), post("/report")).await;
    let second = send(&wrap(&layer, counting.clone()), post("/report"))
        .await
        .pending();
    assert!(used(&store) >= 20 * MIB, "room is taken at the acceptance");
    for keyed in [false, true] {
        let mut submission = post("/report");
        if keyed {
            submission = with(submission, "idempotency-key", "another");
        }
        let refused = send(&wrap(&layer, counting.clone()), submission).await;
        assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE);
        let retry_after: u64 = refused.header("retry-after").parse().expect("seconds");
        assert!((3590..3600).contains(&retry_after), "{retry_after}");
    }
    assert_eq!(begun.load(Ordering::SeqCst), 2);
    // Another route is not expected to need as much.
    send(&wrap(&layer, slow(SECOND, "small")), post("/other"))
        .await
        .pending();

    sleep(2 * SECOND).await;
    assert_eq!(ask(&layer, get(&first)).await.body.len(), 10 * MIB);
    let refused = send(&wrap(&layer, counting.clone()), post("/report")).await;
    let retry_after: u64 = refused.header("retry-after").parse().expect("seconds");
    assert!((60..=61).contains(&retry_after), "{retry_after}");
    sleep(Duration::from_secs(retry_after)).await;
    ended(&layer, counting, post("/report")).await;
    assert_eq!(state(&layer, &first).await, "expired");
    assert_eq!(state(&layer, path_of(second.location())).await, "done");
}

#[tokio::test(start_paused = true)]
async fn s73_calls_that_may_stay_inline_are_answered_while_results_fill_the_store() {
    let (builder, _) = builder(memory().max_bytes(25 * MIB));
    let layer = builder.replay_when(|head| head.headers.contains_key("x-replayed"));
    let layer = layer.build().expect("valid settings");
    for _ in 0..2 {
        ended(&layer, large(10 * MIB), asking(post("/report"))).await;
    }
    for replayed in [false, true] {
        let submission = || match replayed {
            true => with(post("/report"), "x-replayed", "yes"),
            false => post("/report"),
        };
        let quick = send(&wrap(&layer, slow(SECOND / 2, "quick")), submission()).await;
        assert_eq!(
            (quick.status, &*quick.body),
            (StatusCode::OK, &b"quick"[..])
        );
        // It cannot become a job.
        let late = send(
            &wrap(&layer, slow(60 * SECOND, "late")),
            asking(submission()),
        )
        .await;
        assert_eq!((late.status, &*late.body), (StatusCode::OK, &b"late"[..]));
    }
}

/// Returns a layer whose store has room for two results of 1 MiB and holds one.
async fn half_full() -> (AsyncJobLayer, String) {
    let (builder, _) = builder(memory().max_bytes(5 * MIB / 2));
    let layer = eager(builder);
    let job = ended(&layer, large(MIB), post("/first")).await;
    (layer, job)
}

/// Returns whether the result of the first job is dropped when room is needed.
async fn goes(layer: &AsyncJobLayer, job: &str) -> bool {
    sleep(70 * SECOND).await;
    for number in 0..2 {
        ended(layer, large(MIB), post(&format!("/{number}"))).await;
    }
    state(layer, job).await == "expired"
}

#[tokio::test(start_paused = true)]
async fn s73_result_read_to_its_end_is_delivered() {
    let (layer, job) = half_full().await;
    assert_eq!(ask(&layer, get(&job)).await.body.len(), MIB);
    assert!(goes(&layer, &job).await);
}

#[tokio::test(start_paused = true)]
async fn s73_result_that_was_not_read_to_its_end_is_not_delivered() {
    let (layer, job) = half_full().await;
    ask(&layer, request(Method::HEAD, &job)).await;
    ask(&layer, get(&format!("{job}/status"))).await;
    ask(&layer, with(get(&job), "range", "bytes=0-1")).await;
    let response = layer
        .resource()
        .oneshot(get(&job))
        .await
        .expect("infallible");
    let mut body = response.into_body();
    for _ in 0..10 {
        body.frame()
            .await
            .expect("more to come")
            .expect("infallible");
    }
    drop(body);
    assert!(!goes(&layer, &job).await);
}

#[tokio::test(start_paused = true)]
async fn s73_result_with_trailers_is_delivered_with_them() {
    let (builder, _) = builder(memory());
    let layer = eager(builder.retention_after_delivery(SECOND));
    let inner = service_fn(|_: Request<JobBody<Body>>| async {
        sleep(SECOND).await;
        let mut trailers = HeaderMap::new();
        trailers.insert("x-end", "yes".parse().expect("valid"));
        Ok::<_, Infallible>(Response::new(trailed("body", trailers)))
    });
    let accepted = Answer::of(call(&layer.layer(inner), post("/")).await)
        .await
        .pending();
    sleep(2 * SECOND).await;
    let job = path_of(accepted.location());
    let mut request = with(get(job), "te", "trailers");
    *request.version_mut() = http::Version::HTTP_2;
    let response = layer.resource().oneshot(request).await.expect("infallible");
    let mut body = response.into_body();
    assert!(
        body.frame()
            .await
            .expect("data")
            .expect("infallible")
            .is_data()
    );
    sleep(10 * SECOND).await;
    assert_eq!(state(&layer, job).await, "done");
    assert!(
        body.frame()
            .await
            .expect("trailers")
            .expect("infallible")
            .is_trailers()
    );
    sleep(3 * SECOND).await;
    assert_eq!(state(&layer, job).await, "expired");
}

/// Returns a handler that takes a second, and the number of its runs.
fn counting() -> (Handler, Arc<AtomicUsize>) {
    let begun = Arc::new(AtomicUsize::new(0));
    let counted = begun.clone();
    let counting = handler(move |_| {
        counted.fetch_add(1, Ordering::SeqCst);
        async move {
            sleep(SECOND).await;
            Response::new(Body::from("done"))
        }
    });
    (counting, begun)
}

#[tokio::test(start_paused = true)]
async fn s73_repeat_whose_result_was_dropped_gets_410_and_no_second_run() {
    let (counting, begun) = counting();
    let (builder, _) = builder(memory());
    let layer = eager(builder.retention_after_delivery(SECOND));
    let keyed = || asking(with(post("/report"), "idempotency-key", "one"));
    let job = ended(&layer, counting.clone(), keyed()).await;
    assert_eq!(ask(&layer, get(&job)).await.body, "done");
    sleep(10 * SECOND).await;
    let repeat = send(&wrap(&layer, counting.clone()), keyed()).await;
    let answered = (repeat.status, repeat.header("job-status"));
    assert_eq!(answered, (StatusCode::GONE, "expired"));
    assert_eq!(begun.load(Ordering::SeqCst), 1);
    sleep(3600 * SECOND).await;
    send(&wrap(&layer, counting), keyed()).await.pending();
}

#[tokio::test(start_paused = true)]
async fn s73_repeat_whose_result_was_deleted_gets_410_and_no_second_run() {
    let (counting, begun) = counting();
    let (builder, _) = builder(memory());
    let layer = eager(builder);
    let keyed = || asking(with(post("/report"), "idempotency-key", "one"));
    let job = ended(&layer, counting.clone(), keyed()).await;
    for _ in 0..2 {
        let deleted = ask(&layer, request(Method::DELETE, &job)).await;
        assert_eq!(deleted.status, StatusCode::NO_CONTENT);
        assert_eq!(ask(&layer, get(&job)).await.status, StatusCode::GONE);
        let repeat = send(&wrap(&layer, counting.clone()), keyed()).await;
        let answered = (repeat.status, repeat.header("job-status"));
        assert_eq!(answered, (StatusCode::GONE, "expired"));
    }
    assert_eq!(begun.load(Ordering::SeqCst), 1);
    sleep(3600 * SECOND).await;
    send(&wrap(&layer, counting), keyed()).await.pending();
}

#[tokio::test(start_paused = true)]
async fn result_is_kept_for_so_long_after_its_delivery() {
    let (builder, store) = builder(memory());
    let layer = eager(builder.retention_after_delivery(5 * SECOND));
    let job = ended(&layer, large(MIB), post("/report")).await;
    sleep(100 * SECOND).await;
    for _ in 0..3 {
        assert_eq!(ask(&layer, get(&job)).await.status, StatusCode::OK);
        sleep(4 * SECOND).await;
    }
    sleep(3 * SECOND).await;
    assert!(used(&store) < MIB, "it is swept on time");
    assert_eq!(state(&layer, &job).await, "expired");
}

#[tokio::test(start_paused = true)]
async fn result_that_is_kept_for_seconds_is_swept_on_time() {
    let (builder, store) = builder(memory());
    let layer = eager(builder.retention(Retention::new(2 * SECOND, 2 * SECOND)));
    send(&wrap(&layer, slow(600 * SECOND, "late")), post("/late"))
        .await
        .pending();
    sleep(5 * SECOND).await;
    let before = used(&store);
    let accepted = send(&wrap(&layer, large(MIB)), post("/report"))
        .await
        .pending();
    sleep(29 * SECOND / 10).await;
    assert!(used(&store) > MIB);
    sleep(3 * SECOND / 10).await;
    assert_eq!(used(&store), before);
    assert_eq!(state(&layer, path_of(accepted.location())).await, "expired");
    sleep(2 * SECOND).await;
    assert_eq!(state(&layer, path_of(accepted.location())).await, "unknown");
}
