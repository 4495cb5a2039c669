//! An application whose jobs are encrypted.

use std::time::Duration;

use axum::{Router, body::Body, routing::post};
use http::{HeaderMap, Method, Request, StatusCode, Uri, header::AUTHORIZATION};
use tokio::{
    task::JoinSet,
    time::{sleep, timeout},
};
use tower_async_job::{
    AsyncJobLayer, JobContext, Role,
    store::{EncryptionKeys, JobStore, Sealed},
};

use crate::{
    jobs::open,
    node::{RECOVERY, request, send},
    nodes::Nodes,
    run::Ran,
};

/// The length of the long result, which is stored in chunks.
const LENGTH: usize = 1_000_000;

/// The text that clients send and handlers answer.
const SECRET: &str = "known to one client alone";

fn contains(data: &[u8]) -> bool {
    data.windows(SECRET.len())
        .any(|part| part == SECRET.as_bytes())
}

/// Answers with the secret, if the request has it; under `/long` in chunks.
fn routes() -> Router {
    let handler = |job: JobContext, headers: HeaderMap, uri: Uri, body: String| async move {
        let sent = [
            headers["authorization"].to_str().unwrap(),
            &body,
            uri.query().unwrap(),
        ];
        assert!(sent.iter().all(|part| part.contains(&SECRET[..5])));
        job.partial(SECRET);
        job.metadata("secret", SECRET);
        // Time for a poll to see the report.
        sleep(Duration::from_millis(600)).await;
        match uri.path() {
            "/long" => SECRET.repeat(LENGTH / SECRET.len()),
            _ => SECRET.to_owned(),
        }
    };
    Router::new()
        .route("/short", post(handler))
        .route("/long", post(handler))
}

fn layer(store: impl JobStore, role: Role) -> AsyncJobLayer {
    AsyncJobLayer::builder()
        .store(store)
        .inline_wait(Duration::ZERO)
        .replay_when(|_| true)
        .keep_header(AUTHORIZATION)
        .role(role)
        .build()
        .unwrap()
}

/// Lets a front offer two jobs and a worker run them, and reads their results.
async fn run(front: impl JobStore, worker: impl JobStore) {
    let front = layer(front, Role::Front);
    let application = routes()
        .layer(front.clone())
        .nest_service("/work", front.resource());
    let mut locations = Vec::new();
    for path in ["/short", "/long"] {
        let request = Request::post(format!("{path}?{}", SECRET.replace(' ', "+")))
            .header(AUTHORIZATION, SECRET)
            .body(Body::from(SECRET));
        let accepted = send(&application, request.unwrap()).await;
        locations.push(accepted.location().to_owned());
    }
    tokio::spawn(layer(worker, Role::Worker).worker(routes()).run());
    let mut polls = JoinSet::new();
    for location in locations {
        let application = application.clone();
        polls.spawn(async move {
            let mut is_reported = false;
            loop {
                let answer = send(&application, request(Method::GET, &location)).await;
                if answer.status == StatusCode::OK {
                    assert!(answer.body.starts_with(SECRET.as_bytes()));
                    return is_reported;
                }
                is_reported |= contains(&answer.body);
                sleep(Duration::from_millis(20)).await;
            }
        });
    }
    let ended = timeout(RECOVERY, polls.join_all()).await;
    let is_reported = ended.expect("the worker runs them");
    assert_eq!(is_reported, [true; 2], "the reports are shown");
}

pub(crate) async fn encrypted_jobs_leave_no_plain_text(data: &impl Nodes) -> Ran {
    run(open(data).await?, open(data).await?).await;
    assert!(
        data.contains(SECRET).await?,
        "the search finds what is there"
    );

    let encrypted = data.another().await?;
    let keys: EncryptionKeys = "2026:qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqo="
        .parse()
        .unwrap();
    let sealed = async || Ok(Sealed::new(open(&encrypted).await?, keys.clone()));
    run(sealed().await?, sealed().await?).await;
    assert!(!encrypted.contains(SECRET).await?);
    Ok(())
}
