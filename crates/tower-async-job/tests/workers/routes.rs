//! The routes of an axum application, which a worker calls again.

use std::{
    convert::Infallible,
    future::ready,
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task,
    time::Duration,
};

use crate::{
    LEASE, RECOVERY, shared,
    support::{Answer, Body, SECOND, ask, call, faulty::FaultyStore, get, grpc, path_of, post},
};
use axum::{
    Router,
    extract::{ConnectInfo, MatchedPath, Path, Request, State},
    middleware::{Next, from_fn, map_request},
    routing,
};
use http_body_util::{BodyExt, Full};
use http_polling::JobState;
use serde::{Deserialize, Serialize};
use tokio::time::sleep;
use tower::{Layer, ServiceExt};
use tower_async_job::{AsyncJobLayer, JobContext, Role};

async fn report(
    State(state): State<&'static str>,
    Path((kind, year)): Path<(String, u32)>,
    matched: MatchedPath,
    request: Request,
) -> String {
    let attempt = JobContext::of(&request).attempt();
    let body = axum::body::to_bytes(request.into_body(), 100)
        .await
        .expect("whole");
    sleep(5 * SECOND).await;
    let body = std::str::from_utf8(&body).expect("text");
    format!(
        "{state} {kind} {year} {} {body} {attempt}",
        matched.as_str()
    )
}

fn routes() -> Router {
    Router::new()
        .route("/report/{kind}/{year}", routing::post(report))
        .with_state("state")
}

fn node(store: &Arc<FaultyStore>, role: Role) -> AsyncJobLayer {
    AsyncJobLayer::builder()
        .store(store.clone())
        .inline_wait(Duration::ZERO)
        .replay_when(|request| request.uri.path().starts_with("/report/"))
        .role(role)
        .build()
        .expect("valid configuration")
}

async fn submit(app: &Router) -> String {
    let mut request = post("/report/sales/2026");
    *request.body_mut() = Body::from("rows");
    let accepted = app.clone().oneshot(request).await.expect("infallible");
    let accepted = Answer::of(accepted).await.pending();
    path_of(accepted.location()).to_owned()
}

const RESULT: &str = "state sales 2026 /report/{kind}/{year} rows";

#[tokio::test(start_paused = true)]
async fn extractors_of_axum_work_again_and_authentication_is_not_asked() {
    let store = shared();
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    let authenticate = from_fn(move |request: Request, next: Next| {
        count.fetch_add(1, Ordering::SeqCst);
        next.run(request)
    });
    let front = node(&store, Role::Front);
    let app = routes().layer(front.clone()).layer(authenticate);
    let job = submit(&app).await;
    let worker = node(&store, Role::Worker);
    tokio::spawn(worker.worker(routes()).run());
    sleep(6 * SECOND).await;
    let result = ask(&front, get(&job)).await;
    assert_eq!(result.body, format!("{RESULT} 1"));
    assert_eq!(asked.load(Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn layer_within_the_routes_passes_what_a_worker_runs_through() {
    let store = shared();
    let jobs = node(&store, Role::Front);
    let app = routes().layer(jobs.clone());
    tokio::spawn(jobs.worker(app.clone()).run());
    let job = submit(&app).await;
    sleep(6 * SECOND).await;
    assert_eq!(ask(&jobs, get(&job)).await.body, format!("{RESULT} 1"));
    assert_eq!(store.jobs().await, 1);
}

/// The address of a client in a form that can be stored, which that of axum cannot.
#[derive(Clone, Serialize, Deserialize)]
struct Peer(SocketAddr);

#[tokio::test(start_paused = true)]
async fn address_of_the_client_is_kept_for_the_extractor_of_axum() {
    let jobs = AsyncJobLayer::builder()
        .store(shared())
        .replay_when(|_| true)
        .keep_extension::<Peer>("peer")
        .role(Role::Front)
        .build()
        .expect("valid configuration");
    let handler = |ConnectInfo(peer): ConnectInfo<SocketAddr>| async move { peer.to_string() };
    let restore = |mut request: Request| {
        if let Some(Peer(peer)) = request.extensions().get::<Peer>().cloned() {
            request.extensions_mut().insert(ConnectInfo(peer));
        }
        ready(request)
    };
    let routes = Router::new()
        .route("/report", routing::post(handler))
        .layer(map_request(restore));
    let keep = |ConnectInfo(peer): ConnectInfo<SocketAddr>, mut request: Request| {
        request.extensions_mut().insert(Peer(peer));
        ready(request)
    };
    let app = routes.clone().layer(jobs.clone()).layer(map_request(keep));
    tokio::spawn(jobs.worker(routes).run());
    let peer = SocketAddr::from(([192, 0, 2, 7], 4711));
    let mut request = post("/report");
    request.extensions_mut().insert(ConnectInfo(peer));
    let answer = app.oneshot(request).await.expect("infallible");
    assert_eq!(Answer::of(answer).await.body, peer.to_string());
}

#[tokio::test(start_paused = true)]
async fn routes_are_called_again_after_a_restart() {
    let store = shared();
    let first = node(&store, Role::Both);
    let job = submit(&routes().layer(first.clone())).await;
    first.shutdown(SECOND).await;
    assert_eq!(store.jobs_in(JobState::Queued).await, 1);
    let second = node(&store, Role::Both);
    tokio::spawn(second.worker(routes()).run());
    sleep(6 * SECOND).await;
    assert_eq!(ask(&second, get(&job)).await.body, format!("{RESULT} 1"));
    assert!(RECOVERY > LEASE);
}

/// A short form of the service that tonic generates.
#[derive(Debug, Clone)]
struct Greeter;

impl tonic::server::NamedService for Greeter {
    const NAME: &'static str = "test.Greeter";
}

impl tower::Service<http::Request<tonic::body::Body>> for Greeter {
    type Response = http::Response<tonic::body::Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut task::Context<'_>) -> task::Poll<Result<(), Infallible>> {
        task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<tonic::body::Body>) -> Self::Future {
        Box::pin(async move {
            let body = request.into_body().collect().await.expect("whole");
            let body = Full::new(body.to_bytes());
            let mut response = http::Response::new(tonic::body::Body::new(body));
            for (name, value) in [("content-type", "application/grpc"), ("grpc-status", "0")] {
                let value = http::HeaderValue::from_static(value);
                response.headers_mut().insert(name, value);
            }
            Ok(response)
        })
    }
}

#[tokio::test(start_paused = true)]
async fn worker_calls_routes_of_tonic() {
    let store = shared();
    let jobs = AsyncJobLayer::builder()
        .store(store.clone())
        .replay_when(|request| request.is_grpc())
        .role(Role::Front)
        .build()
        .expect("valid configuration");
    let routes = tonic::service::Routes::new(Greeter).prepare();
    let app = jobs.layer(routes.clone());
    let mut request = grpc("/test.Greeter/Greet");
    *request.body_mut() = Body::from("\0\0\0\0\x02hi");
    let accepted = Answer::of(call(&app, request).await).await.pending();
    tokio::spawn(jobs.worker(routes).run());
    sleep(2 * SECOND).await;
    let result = ask(&jobs, get(path_of(accepted.location()))).await;
    assert_eq!(result.body, "\0\0\0\0\x02hi");
    assert_eq!(result.header("grpc-status"), "0");
}
