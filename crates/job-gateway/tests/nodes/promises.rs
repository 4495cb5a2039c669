//! The promises of two gateways on one store.

use std::time::{Duration, Instant};

use http::{Request, StatusCode};
use rustix::process::Signal;
use serde_json::json;
use tokio::time::sleep;

use crate::{
    pair::{Pair, accepted, poll, post},
    support::{get, send, soon},
    worker::{document, report},
};

/// The time after which something that another gateway learns is looked for again.
const SOON: Duration = Duration::from_millis(50);

pub(crate) async fn any_gateway_answers_any_poll(mut pair: Pair) {
    let (job, _) = pair.submit("/").await;
    for gateway in [&pair.first, &pair.second] {
        let pending = poll(gateway, &job, 0).await;
        assert_eq!(pending.header("job-status"), "running");
    }
    pair.worker.finish();
    for gateway in [&pair.second, &pair.first] {
        let done = poll(gateway, &job, 15).await;
        assert_eq!((done.status, done.text()), (StatusCode::OK, "done"));
    }
}

pub(crate) async fn a_held_poll_is_woken_by_the_end_at_the_other(mut pair: Pair) {
    let (job, _) = pair.submit("/").await;
    let (worker, second) = (&pair.worker, &pair.second);
    let begun = Instant::now();
    let end = async {
        sleep(Duration::from_millis(500)).await;
        worker.finish();
    };
    let (done, ()) = tokio::join!(poll(second, &job, 18), end);
    assert_eq!((done.status, done.text()), (StatusCode::OK, "done"));
    let waited = begun.elapsed();
    assert!(waited > Duration::from_millis(500), "{waited:?}");
    assert!(waited < Duration::from_secs(10), "{waited:?}");
}

pub(crate) async fn a_job_cancelled_at_one_ends_at_the_other(mut pair: Pair) {
    let (job, url) = pair.submit("/").await;
    assert_eq!(get(url.clone()).await.header("job-status"), "running");
    let delete = Request::delete(pair.second.url(&job));
    let cancelled = send(delete.body("".into()).unwrap()).await;
    assert_eq!(cancelled.header("job-status"), "cancelled");
    let noticed = async {
        // The run is over, or has a grace to end in.
        while get(url.clone()).await.status == StatusCode::NO_CONTENT
            && get(url.clone()).await.header("job-status") == "running"
        {
            sleep(SOON).await;
        }
    };
    soon(noticed).await;
    let ended = poll(&pair.first, &job, 0).await;
    assert_eq!(ended.header("job-status"), "cancelled");
}

pub(crate) async fn progress_reported_to_one_is_seen_at_the_other(mut pair: Pair) {
    let (job, url) = pair.submit("/").await;
    let told = report(&url, r#"{"fraction": 0.3, "message": "page 3"}"#).await;
    assert_eq!(told.status, StatusCode::NO_CONTENT);
    let expected = json!({"fraction": 0.3, "message": "page 3"});
    let seen = async {
        while document(&pair.second, &job).await["progress"] != expected {
            sleep(SOON).await;
        }
    };
    soon(seen).await;
}

pub(crate) async fn a_key_is_one_job_at_both(mut pair: Pair) {
    let key = Some("\"report-7\"");
    let job = accepted(&post(&pair.first, "/", key).await);
    pair.worker.url().await;
    assert_eq!(accepted(&post(&pair.second, "/", key).await), job);
    pair.worker.finish();
    assert_eq!(poll(&pair.second, &job, 15).await.text(), "done");
    for gateway in [&pair.second, &pair.first] {
        let again = post(gateway, "/", key).await;
        assert_eq!((again.status, again.text()), (StatusCode::OK, "done"));
    }
    let repeated = pair.worker.requests.try_recv();
    assert!(repeated.is_err(), "the server has received {repeated:?}");
}

pub(crate) async fn the_jobs_of_a_gateway_that_died_run_at_the_other_or_are_lost(mut pair: Pair) {
    let (job, first) = pair.submit("/").await;
    let (once, _) = pair.submit("/once").await;
    pair.first.signal(Signal::KILL);
    pair.first.ended().await;
    let again = pair.worker.url().await;
    assert_ne!(again, first);
    let lost = poll(&pair.second, &once, 15).await;
    assert_eq!(lost.header("job-status"), "lost");
    assert!(lost.text().contains("lost"), "{lost:?}");
    // The requests of the first gateway may still be held.
    for _ in 0..3 {
        pair.worker.finish();
        sleep(SOON).await;
    }
    let done = poll(&pair.second, &job, 15).await;
    assert_eq!((done.status, done.text()), (StatusCode::OK, "done"));
    let repeated = pair.worker.requests.try_recv();
    assert!(repeated.is_err(), "the server has received {repeated:?}");
}
