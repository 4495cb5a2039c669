//! Answers that release their job.

use crate::support::{Body, Handler, SECOND, asking, get, handler, post, send, with, wrap};
use http::{Response, StatusCode};
use tokio::time::sleep;
use tower_async_job::{AsyncJobLayer, Release};

/// Returns a handler whose upstream is unreachable.
fn refused() -> Handler {
    handler(|_| async {
        sleep(SECOND / 2).await;
        let mut response = Response::new(Body::from("connection refused"));
        *response.status_mut() = StatusCode::BAD_GATEWAY;
        let release = Release::default().with_after(SECOND).with_counts(false);
        response.extensions_mut().insert(release);
        response
    })
}

#[tokio::test(start_paused = true)]
async fn answer_that_would_hand_its_job_back_stands_where_no_request_is_kept() {
    let service = wrap(&AsyncJobLayer::new(), refused());
    let inline = send(&service, post("/report")).await;
    assert_eq!(inline.status, StatusCode::BAD_GATEWAY);
    let keyed = with(post("/report"), "idempotency-key", "k");
    assert_eq!(send(&service, keyed).await.status, StatusCode::BAD_GATEWAY);
    let accepted = send(&service, asking(post("/report"))).await.pending();
    sleep(SECOND).await;
    let stored = send(&service, get(accepted.location())).await;
    assert_eq!(stored.status, StatusCode::BAD_GATEWAY);
    assert_eq!(stored.header("job-status"), "done");
    assert_eq!(stored.body, "connection refused");
}
