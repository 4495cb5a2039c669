//! The deadline that a client sets for its work.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use crate::support::{
    Body, eager,
    faulty::{Fault, FaultyStore, Op},
    get, handler, memory, path_of, post, request, send, settle, slow, watched, wrap,
};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use tokio::time::{Instant, sleep};
use tokio_test::{assert_pending, task};
use tower::Service;
use tower_async_job::{AsyncJobLayer, OnDisconnect};

const SECOND: Duration = Duration::from_secs(1);

fn within(time: &str) -> Request<Body> {
    let mut request = post("/report");
    request
        .headers_mut()
        .insert("cancel-after", time.parse().expect("a valid value"));
    request
}

#[tokio::test(start_paused = true)]
async fn work_past_the_client_s_deadline_has_timed_out() {
    let service = wrap(&eager(AsyncJobLayer::builder()), slow(60 * SECOND, "late"));
    let accepted = send(&service, within("5s")).await.pending();
    sleep(4 * SECOND).await;
    send(
        &service,
        get(accepted.location().split_once('?').expect("hints").0),
    )
    .await
    .pending();
    sleep(2 * SECOND).await;
    let answer = send(&service, get(accepted.location())).await;
    assert_eq!(answer.status, StatusCode::GATEWAY_TIMEOUT);
    assert_eq!(answer.header("job-status"), "timed-out");
}

#[tokio::test(start_paused = true)]
async fn deadline_within_the_inline_wait_ends_that_too() {
    let service = wrap(&AsyncJobLayer::new(), slow(60 * SECOND, "late"));
    let begun = Instant::now();
    let accepted = send(&service, within("0.3")).await;
    assert_eq!(
        accepted.status,
        StatusCode::BAD_REQUEST,
        "not a whole number of seconds"
    );
    let accepted = send(&service, within("300ms")).await.pending();
    assert_eq!(begun.elapsed(), Duration::from_millis(300));
    sleep(SECOND / 10).await;
    let answer = send(&service, get(accepted.location())).await;
    assert_eq!(answer.header("job-status"), "timed-out");
}

#[tokio::test(start_paused = true)]
async fn client_cannot_ask_for_more_than_the_server_gives() {
    let layer = eager(AsyncJobLayer::builder().job_deadline(10 * SECOND));
    let service = wrap(&layer, slow(60 * SECOND, "late"));
    let accepted = send(&service, within("1h")).await.pending();
    sleep(11 * SECOND).await;
    let answer = send(&service, get(accepted.location())).await;
    assert_eq!(answer.header("job-status"), "timed-out");
}

#[tokio::test(start_paused = true)]
async fn malformed_deadline_is_400() {
    let service = wrap(&AsyncJobLayer::new(), slow(SECOND / 2, "done"));
    for time in ["soon", "-1", "5 parsecs"] {
        let answer = send(&service, within(time)).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{time}");
    }
}

#[tokio::test(start_paused = true)]
async fn grpc_timeout_is_the_deadline_of_a_grpc_job() {
    let service = wrap(&AsyncJobLayer::new(), slow(60 * SECOND, "late"));
    let mut request = post("/pkg.Service/Method");
    for (name, value) in [
        ("content-type", "application/grpc"),
        ("prefer", "respond-async"),
        ("grpc-timeout", "2S"),
    ] {
        request
            .headers_mut()
            .insert(name, HeaderValue::from_static(value));
    }
    let accepted = send(&service, request).await.pending();
    sleep(3 * SECOND).await;
    let answer = send(&service, get(accepted.location())).await;
    assert_eq!(answer.header("grpc-status"), "4");
    assert_eq!(answer.header("job-status"), "timed-out");
}

#[tokio::test(start_paused = true)]
async fn each_of_many_jobs_ends_at_its_own_deadline() {
    let layer = eager(AsyncJobLayer::builder());
    let service = wrap(&layer, slow(3600 * SECOND, "late"));
    let mut jobs = Vec::new();
    // Later requests have nearer deadlines.
    for seconds in (1..=600).rev() {
        let accepted = send(&service, within(&format!("{seconds}s"))).await;
        jobs.push((seconds, accepted.pending().location().to_owned()));
    }
    sleep(300 * SECOND + SECOND / 2).await;
    for (seconds, location) in jobs {
        let (path, _) = location.split_once('?').expect("hints");
        let answer = send(&service, get(path)).await;
        let state = if seconds <= 300 {
            "timed-out"
        } else {
            "running"
        };
        assert_eq!(answer.header("job-status"), state, "{seconds} s");
    }
}

/// A value that records its drop.
struct Alive(Arc<AtomicBool>);

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.store(false, Ordering::SeqCst);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn handler_cancelled_as_its_deadline_passes_is_given_up_after_the_grace() {
    const TENTH: Duration = Duration::from_millis(100);
    let alive = Arc::new(AtomicBool::new(true));
    let layer = eager(
        AsyncJobLayer::builder()
            .job_deadline(TENTH)
            .cancellation_grace(TENTH),
    );
    let handler = handler({
        let alive = alive.clone();
        move |_| {
            let alive = Alive(alive.clone());
            async move {
                let _alive = alive;
                sleep(TENTH / 2).await;
                // Computes past its deadline, so that its task cannot check it.
                std::thread::sleep(4 * TENTH);
                std::future::pending::<()>().await;
                Response::default()
            }
        }
    });
    let service = wrap(&layer, handler);
    // Keeps a worker at the timers meanwhile.
    tokio::spawn(async {
        loop {
            std::thread::sleep(TENTH / 100);
            tokio::task::yield_now().await;
        }
    });
    let accepted = send(&service, post("/report")).await.pending();
    sleep(TENTH * 5 / 2).await;
    let url = path_of(accepted.location());
    let cancelled = send(&service, request(Method::DELETE, url)).await;
    assert_eq!(cancelled.header("job-status"), "cancelled");
    for _ in 0..30 {
        sleep(TENTH).await;
        if !alive.load(Ordering::SeqCst) {
            return;
        }
    }
    panic!("the handler is still there 3 s after its grace");
}

#[test]
fn deadlines_outlive_the_runtime_that_the_first_job_came_in() {
    let runtime = || {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        let runtime = builder.worker_threads(1).enable_all().build();
        runtime.expect("a runtime")
    };
    let (first, second) = (runtime(), runtime());
    let layer = eager(AsyncJobLayer::builder().job_deadline(SECOND / 2));
    let service = wrap(&layer, slow(3600 * SECOND, "late"));
    first.block_on(async { send(&service, post("/report")).await.pending() });
    let accepted = second.block_on(async { send(&service, post("/report")).await.pending() });
    drop(first);
    second.block_on(async {
        sleep(SECOND).await;
        let url = path_of(accepted.location());
        let answer = send(&service, get(url)).await;
        assert_eq!(answer.header("job-status"), "timed-out");
    });
}

#[tokio::test(start_paused = true)]
async fn s66_work_that_stays_inline_ends_at_its_deadline() {
    let store = |fault| Arc::new(FaultyStore::new(memory().build()).then(Op::Create, fault));
    for fault in [Fault::Unavailable, Fault::Late(30 * SECOND)] {
        let store = store(fault);
        let layer = eager(AsyncJobLayer::builder().store(store.clone()));
        let service = wrap(&layer, slow(60 * SECOND, "late"));
        let begun = Instant::now();
        let answer = send(&service, within("5s")).await;
        assert_eq!(answer.status, StatusCode::GATEWAY_TIMEOUT);
        assert_eq!(answer.header("job-status"), "", "there is no job");
        assert_eq!(begun.elapsed(), 5 * SECOND);
        sleep(60 * SECOND).await;
        assert_eq!(store.jobs().await, 0);
    }
}

#[tokio::test(start_paused = true)]
async fn s66_work_left_by_its_client_ends_at_its_deadline() {
    let detaching = || AsyncJobLayer::builder().on_disconnect(OnDisconnect::Detach);
    let store = |fault| Arc::new(FaultyStore::new(memory().build()).then(Op::Create, fault));
    let unavailable = detaching().store(store(Fault::Unavailable));
    let slow_store = detaching().store(store(Fault::Late(30 * SECOND)));
    let inline = detaching().inline_wait(60 * SECOND).build();
    let layers = [
        ("within the inline wait", inline.expect("valid")),
        ("after the store's failure", eager(unavailable)),
        ("while the job is stored", eager(slow_store)),
    ];
    for (moment, layer) in layers {
        let (handler, lifeline, ended) = watched(600 * SECOND, "late");
        let mut service = wrap(&layer, handler);
        let mut response = task::spawn(service.call(within("5s")));
        assert_pending!(response.poll());
        settle().await;
        drop(response);
        sleep(4 * SECOND).await;
        assert!(lifeline.is_alive(), "{moment}");
        sleep(2 * SECOND).await;
        assert!(!lifeline.is_alive(), "{moment}");
        assert_eq!(ended.load(Ordering::SeqCst), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn s66_detached_work_is_dropped_when_its_client_is_told_of_the_deadline() {
    let store = FaultyStore::new(memory().build()).then(Op::Create, Fault::Unavailable);
    let layer = AsyncJobLayer::builder()
        .on_disconnect(OnDisconnect::Detach)
        .store(Arc::new(store));
    let (handler, lifeline, _) = watched(600 * SECOND, "late");
    let answer = send(&wrap(&eager(layer), handler), within("5s")).await;
    assert_eq!(answer.status, StatusCode::GATEWAY_TIMEOUT);
    sleep(SECOND).await;
    assert!(!lifeline.is_alive());
}
