//! Stored names and reports of a job: their limits, and that strangers cause no cost.

use std::{sync::Arc, time::Instant};

use crate::support::{
    Answer, Body, SECOND, ask, eager, get, handler, id_of, memory, path_of, post, send, slow, with,
    wrap,
};
use http::StatusCode;
use serde_json::{Value, json};
use tokio::time::sleep;
use tower_async_job::{
    AsyncJobLayer, Builder, JobContext,
    store::{Detail, JobStore, MemoryStore, Principal},
};

/// Returns 64 kB of text.
fn long() -> String {
    "x".repeat(64_000)
}

fn builder() -> (Builder, Arc<MemoryStore>) {
    let store = Arc::new(memory().build());
    (AsyncJobLayer::builder().store(store.clone()), store)
}

/// Returns the status of a job while its handler, which has reported, still runs.
async fn reported(
    builder: Builder,
    report: impl Fn(&JobContext) + Clone + Send + Sync + 'static,
) -> Value {
    let layer = eager(builder);
    let reporting = handler(move |request| {
        let report = report.clone();
        async move {
            let job = JobContext::of(&request);
            sleep(SECOND).await;
            report(&job);
            sleep(60 * SECOND).await;
            http::Response::new(Body::default())
        }
    });
    let accepted = send(&wrap(&layer, reporting), post("/report"))
        .await
        .pending();
    sleep(2 * SECOND).await;
    ask(&layer, get(accepted.location())).await.pending().json()
}

#[tokio::test(start_paused = true)]
async fn s69_long_path_is_refused_and_a_route_is_cut() {
    let (builder, store) = builder();
    let layer = eager(builder);
    let service = wrap(&layer, slow(10 * SECOND, "done"));
    let path = format!("/{}", "a".repeat(8 << 10));
    let refused = send(&service, post(&path)).await;
    assert_eq!(refused.status, StatusCode::URI_TOO_LONG);
    assert_eq!(
        refused.json()["type"],
        "urn:http-polling:problem:target-too-long"
    );
    let accepted = send(&service, post(&path[..path.len() - 1]))
        .await
        .pending();
    let id = id_of(accepted.location());
    let record = store
        .read(&id, Detail::Status)
        .await
        .expect("memory")
        .expect("a job");
    assert_eq!(record.route.len(), 256);
}

#[tokio::test(start_paused = true)]
async fn s69_long_route_of_the_application_is_cut() {
    let (builder, store) = builder();
    let layer = eager(builder.route(|_| "ä".repeat(1000)));
    let service = wrap(&layer, slow(10 * SECOND, "done"));
    let accepted = send(&service, post("/")).await.pending();
    let id = id_of(accepted.location());
    let record = store
        .read(&id, Detail::Status)
        .await
        .expect("memory")
        .expect("a job");
    assert_eq!(&*record.route, "ä".repeat(128));
}

#[tokio::test(start_paused = true)]
async fn s69_relative_references_are_resolved_against_a_path_longer_than_its_route() {
    let layer = eager(builder().0);
    let created = handler(|_| async {
        sleep(SECOND).await;
        let response = http::Response::builder().header("location", "made");
        response.body(Body::default()).expect("valid")
    });
    let path = format!("/{}/", "a".repeat(1000));
    let accepted = send(&wrap(&layer, created), post(&path)).await.pending();
    sleep(2 * SECOND).await;
    let answer = ask(&layer, get(accepted.location())).await;
    assert_eq!(answer.location(), format!("{path}made"));
}

#[tokio::test(start_paused = true)]
async fn s69_long_principal_is_refused() {
    let (builder, store) = builder();
    let layer = eager(builder.principal(|request| {
        let size = request.headers.get("x-size")?.to_str().ok()?.parse().ok()?;
        Some(Principal::new("p".repeat(size)))
    }));
    let service = wrap(&layer, slow(10 * SECOND, "done"));
    send(&service, with(post("/"), "x-size", "1024"))
        .await
        .pending();
    let refused = send(&service, with(post("/"), "x-size", "1025")).await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
    let used = store.usage().expect("memory knows").bytes;
    assert_eq!(used, 1024 + "POST /".len());
}

#[tokio::test(start_paused = true)]
async fn s69_long_message_is_cut() {
    let status = reported(builder().0, |job| job.message("ä".repeat(32_000))).await;
    assert_eq!(status["progress"]["message"], "ä".repeat(512));
}

#[tokio::test(start_paused = true)]
async fn s69_long_partial_result_and_metadata_are_left_out() {
    let limited = || builder().0.report_limit(1000);
    let partial = reported(limited(), |job| {
        job.partial(json!([1]));
        job.partial(long());
        job.progress(0.5);
    });
    let partial = partial.await;
    assert_eq!(partial["progress"]["fraction"], 0.5);
    assert_eq!(partial.get("partial"), None);
    let metadata = reported(limited(), |job| {
        job.metadata("long", long());
        job.partial("so far");
    });
    let metadata = metadata.await;
    assert_eq!(metadata["partial"], "so far");
    assert_eq!(metadata.get("metadata"), None);
}

#[tokio::test(start_paused = true)]
async fn metadata_is_told_whole_whenever_it_changes() {
    let (builder, _) = builder();
    let layer = eager(builder);
    let reporting = handler(|request| async move {
        let job = JobContext::of(&request);
        job.metadata("a", 1);
        sleep(2 * SECOND).await;
        job.metadata("b", 2);
        sleep(60 * SECOND).await;
        http::Response::new(Body::default())
    });
    let accepted = send(&wrap(&layer, reporting), post("/report"))
        .await
        .pending();
    assert_eq!(accepted.json()["metadata"], json!({ "a": 1 }));
    sleep(3 * SECOND).await;
    let later = ask(&layer, get(accepted.location())).await.json();
    assert_eq!(later["metadata"], json!({ "a": 1, "b": 2 }));
}

#[tokio::test]
async fn s71_stranger_s_probe_costs_as_an_unknown_id() {
    let layer = eager(builder().0.principal(|request| {
        let name = request.headers.get("x-user")?.to_str().ok()?;
        Some(Principal::new(name))
    }));
    let reporting = handler(|request| async move {
        let rows: Vec<Value> = (0..100_000).map(|row| json!({ "row": row })).collect();
        JobContext::of(&request).partial(rows);
        std::future::pending().await
    });
    let own = with(post("/report"), "x-user", "a");
    let accepted = send(&wrap(&layer, reporting), own).await.pending();
    assert!(accepted.body.len() > 1_000_000);
    let job = path_of(accepted.location());
    let unknown = "/work/00000000000000000000000000000000";
    let probe = async |path: &str| -> (std::time::Duration, Answer) {
        let mut least = std::time::Duration::MAX;
        let mut last = None;
        for _ in 0..50 {
            let begun = Instant::now();
            last = Some(ask(&layer, with(get(path), "x-user", "b")).await);
            least = least.min(begun.elapsed());
        }
        (least, last.expect("it was asked"))
    };
    for part in ["", "/status"] {
        let (unknown_took, unknown) = probe(&format!("{unknown}{part}")).await;
        let (took, answer) = probe(&format!("{job}{part}")).await;
        assert_eq!(
            (answer.status, &answer.body),
            (StatusCode::NOT_FOUND, &unknown.body)
        );
        assert!(took < 10 * unknown_took, "{took:?}, not {unknown_took:?}");
    }
}
