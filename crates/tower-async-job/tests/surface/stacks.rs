//! The layer stacks with one line on axum, tonic, hyper and tower's own middleware.

use std::{convert::Infallible, pin::Pin, time::Duration};

use crate::support::{self, Answer, Body, SECOND, call, eager, post, send, slow, trailed};
use axum::{
    Router,
    body::Body as AxumBody,
    routing::{get as get_route, post as post_route},
};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
    service::TowerToHyperService,
};
use tokio::{net::TcpListener, time::sleep};
use tower::{
    Layer, Service, ServiceBuilder, ServiceExt,
    limit::ConcurrencyLimitLayer,
    util::{BoxCloneService, BoxCloneSyncService},
};
use tower_async_job::{AsyncJob, AsyncJobLayer, JobBody, JobContext};

async fn report() -> &'static str {
    sleep(SECOND).await;
    "report"
}

async fn ask(app: &Router, method: Method, uri: &str) -> Answer {
    let request = Request::builder()
        .method(method)
        .uri(uri)
        .body(AxumBody::empty())
        .expect("valid");
    Answer::of(app.clone().oneshot(request).await.expect("infallible")).await
}

/// Submits to an axum application and polls for the result.
async fn run(app: &Router, uri: &str) -> Answer {
    let accepted = ask(app, Method::POST, uri).await.pending();
    ask(app, Method::GET, accepted.location()).await.pending();
    sleep(2 * SECOND).await;
    ask(app, Method::GET, accepted.location()).await
}

fn jobs() -> AsyncJobLayer {
    eager(AsyncJobLayer::builder())
}

// ---- axum

#[tokio::test(start_paused = true)]
async fn s61_axum_router_layer() {
    let app: Router = Router::new()
        .route("/report", post_route(report))
        .layer(jobs());
    assert_eq!(run(&app, "/report").await.body, "report");
    assert_eq!(
        ask(&app, Method::GET, "/nowhere").await.status,
        StatusCode::NOT_FOUND
    );
    assert_eq!(
        ask(&app, Method::GET, "/work/x").await.header("job-status"),
        "unknown"
    );
}

#[tokio::test(start_paused = true)]
async fn s61_axum_routes_share_one_state() {
    let app: Router = Router::new()
        .route("/a", post_route(report))
        .route("/b", post_route(report))
        .route("/other", get_route(report))
        .layer(eager(AsyncJobLayer::builder().limits(1, 0)));
    let accepted = ask(&app, Method::POST, "/a").await.pending();
    let refused = ask(&app, Method::POST, "/b").await;
    assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE);
    sleep(2 * SECOND).await;
    assert_eq!(
        ask(&app, Method::GET, accepted.location()).await.body,
        "report"
    );
}

#[tokio::test(start_paused = true)]
async fn s61_axum_merged_routers_beneath_one_layer() {
    let app: Router = Router::new()
        .route("/a", post_route(report))
        .merge(Router::new().route("/b", post_route(report)))
        .layer(jobs());
    for uri in ["/a", "/b"] {
        assert_eq!(run(&app, uri).await.body, "report");
    }
}

#[tokio::test(start_paused = true)]
async fn s61_axum_layered_routers_merged_with_the_resource_mounted_outside() {
    let jobs = jobs();
    let left = Router::new()
        .route("/a", post_route(report))
        .layer(jobs.clone());
    let right = Router::new()
        .route("/b", post_route(report))
        .layer(jobs.clone());
    let plain = Router::new().route("/c", post_route(report));
    let app: Router = plain
        .merge(left)
        .merge(right)
        .nest_service("/work", jobs.resource());
    for uri in ["/a", "/b"] {
        assert_eq!(run(&app, uri).await.body, "report");
    }
    assert_eq!(ask(&app, Method::POST, "/c").await.body, "report");
}

#[tokio::test(start_paused = true)]
async fn s61_axum_nested_router_with_the_resource_mounted_by_nest_service() {
    let jobs = eager(AsyncJobLayer::builder().public_base("/api/work"));
    let slow = Router::new()
        .route("/report", post_route(report))
        .layer(jobs.clone());
    let app: Router = Router::new()
        .nest("/api", slow)
        .nest_service("/api/work", jobs.resource());
    let done = run(&app, "/api/report").await;
    assert_eq!(
        (done.header("job-status"), &*done.body),
        ("done", &b"report"[..])
    );
}

#[tokio::test(start_paused = true)]
async fn s61_axum_route_layer_with_the_resource_mounted_by_route_service() {
    let jobs = jobs();
    let app: Router = Router::new()
        .route("/report", post_route(report))
        .route_layer(jobs.clone())
        .route_service("/work/{*job}", jobs.resource());
    assert_eq!(run(&app, "/report").await.body, "report");
    let accepted = ask(&app, Method::POST, "/report").await.pending();
    let status = format!("{}/status", support::path_of(accepted.location()));
    assert_eq!(
        ask(&app, Method::GET, &status).await.json()["state"],
        "running"
    );
    let cancelled = ask(&app, Method::DELETE, accepted.location()).await;
    assert_eq!(cancelled.status, StatusCode::ACCEPTED);
    assert_eq!(
        ask(&app, Method::POST, accepted.location()).await.status,
        StatusCode::METHOD_NOT_ALLOWED
    );
}

#[tokio::test(start_paused = true)]
async fn axum_router_beneath_the_layer() {
    let app = Router::new().route("/report", post_route(report));
    let service = jobs().layer(app);
    let request = Request::post("/report")
        .body(AxumBody::empty())
        .expect("valid");
    let accepted = Answer::of(call(&service, request).await).await.pending();
    sleep(2 * SECOND).await;
    let request = Request::get(accepted.location())
        .body(AxumBody::empty())
        .expect("valid");
    assert_eq!(
        Answer::of(call(&service, request).await).await.body,
        "report"
    );
    let _: axum::routing::IntoMakeService<_> =
        axum::ServiceExt::<Request<AxumBody>>::into_make_service(service);
}

#[cfg(feature = "axum")]
#[tokio::test(start_paused = true)]
async fn axum_handlers_take_the_context_and_the_body() {
    async fn echo(job: JobContext, body: String) -> String {
        job.message("thinking");
        sleep(SECOND).await;
        body
    }
    let app: Router = Router::new().route("/echo", post_route(echo)).layer(jobs());
    let request = Request::post("/echo")
        .body(AxumBody::from("hello"))
        .expect("valid");
    let accepted = Answer::of(app.clone().oneshot(request).await.expect("infallible"))
        .await
        .pending();
    support::settle().await;
    let pending = ask(&app, Method::GET, accepted.location()).await.pending();
    assert_eq!(pending.json()["progress"]["message"], "thinking");
    sleep(2 * SECOND).await;
    assert_eq!(
        ask(&app, Method::GET, accepted.location()).await.body,
        "hello"
    );
}

#[tokio::test]
async fn s61_axum_serves_it_over_a_real_socket() {
    let app: Router = Router::new()
        .route(
            "/report",
            post_route(|| async {
                tokio::task::yield_now().await;
                "report"
            }),
        )
        .layer(jobs());
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    tokio::spawn(async move { axum::serve(listener, app).await });
    let client = hyper_util::client::legacy::Client::builder(TokioExecutor::new())
        .build_http::<Full<Bytes>>();
    let submission = Request::post(format!("http://{address}/report")).body(Full::default());
    let response = client
        .request(submission.expect("valid"))
        .await
        .expect("an answer");
    let mut answer = Answer::of(response).await;
    while matches!(answer.header("job-status"), "running" | "queued") {
        let poll =
            Request::get(format!("http://{address}{}", answer.location())).body(Full::default());
        answer = Answer::of(
            client
                .request(poll.expect("valid"))
                .await
                .expect("an answer"),
        )
        .await;
    }
    assert_eq!(answer.body, "report");
}

// ---- tonic

/// A short form of the service that generated code creates.
#[derive(Debug, Clone)]
struct Greeter;

impl tonic::server::NamedService for Greeter {
    const NAME: &'static str = "test.Greeter";
}

impl Service<Request<tonic::body::Body>> for Greeter {
    type Response = Response<tonic::body::Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(
        &mut self,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Result<(), Infallible>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<tonic::body::Body>) -> Self::Future {
        Box::pin(async move {
            let job = JobContext::of(&request);
            job.progress(0.5);
            sleep(SECOND).await;
            let mut trailers = HeaderMap::new();
            trailers.insert("grpc-status", HeaderValue::from_static("0"));
            let mut response =
                Response::new(tonic::body::Body::new(trailed("\0\0\0\0\0", trailers)));
            let grpc = HeaderValue::from_static("application/grpc");
            response.headers_mut().insert("content-type", grpc);
            Ok(response)
        })
    }
}

#[tokio::test(start_paused = true)]
async fn tonic_server_builder_layer() {
    let (client, server) = tokio::io::duplex(64 << 10);
    let serving = tonic::transport::Server::builder()
        .layer(jobs())
        .add_service(Greeter)
        .serve_with_incoming(tokio_stream::once(Ok::<_, std::io::Error>(server)));
    tokio::spawn(serving);
    let (mut client, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(client))
            .await
            .expect("a connection");
    tokio::spawn(connection);
    let mut ask = async |request: http::request::Builder| {
        let request = request.body(Full::<Bytes>::default()).expect("valid");
        Answer::of(client.send_request(request).await.expect("an answer")).await
    };
    let submission = || {
        Request::post("http://server/test.Greeter/Greet")
            .header("content-type", "application/grpc")
            .header("te", "trailers")
    };
    let inline = ask(submission()).await;
    assert_eq!(inline.trailers.expect("trailers")["grpc-status"], "0");
    let accepted = ask(submission().header("prefer", "respond-async"))
        .await
        .pending();
    assert_eq!(accepted.status, StatusCode::SEE_OTHER);
    // Without the hints, since a poll with them would be held.
    let (job, _) = accepted.location().split_once('?').expect("hints");
    let poll = || Request::get(format!("http://server{job}"));
    let pending = ask(poll()).await.pending();
    assert_eq!(pending.json()["progress"]["fraction"], 0.5);
    sleep(2 * SECOND).await;
    let done = ask(poll()).await;
    assert_eq!(done.header("content-type"), "application/grpc");
    assert_eq!(done.body, "\0\0\0\0\0");
    assert_eq!(done.trailers.expect("trailers")["grpc-status"], "0");
}

#[tokio::test(start_paused = true)]
async fn tonic_routes_beneath_the_layer() {
    let routes = tonic::service::Routes::new(Greeter).prepare();
    let service = jobs().layer(routes);
    let request = Request::post("/test.Greeter/Greet")
        .header("content-type", "application/grpc")
        .header("prefer", "respond-async")
        .body(tonic::body::Body::empty())
        .expect("valid");
    Answer::of(call(&service, request).await).await.pending();
}

// ---- hyper

#[tokio::test(start_paused = true)]
async fn plain_hyper_server() {
    let inner = tower::service_fn(|_: Request<JobBody<hyper::body::Incoming>>| async {
        sleep(SECOND).await;
        Ok::<_, Infallible>(Response::new(Body::from("late")))
    });
    let service = TowerToHyperService::new(jobs().layer(inner));
    let (client, server) = tokio::io::duplex(64 << 10);
    tokio::spawn(async move {
        auto::Builder::new(TokioExecutor::new())
            .serve_connection(TokioIo::new(server), service)
            .await
            .expect("served");
    });
    let (mut client, connection) = hyper::client::conn::http1::handshake(TokioIo::new(client))
        .await
        .expect("a connection");
    tokio::spawn(connection);
    let request = Request::post("/report")
        .header("host", "x")
        .body(Body::default())
        .expect("valid");
    let accepted = Answer::of(client.send_request(request).await.expect("an answer"))
        .await
        .pending();
    sleep(2 * SECOND).await;
    let request = Request::get(accepted.location())
        .header("host", "x")
        .body(Body::default());
    let done = client
        .send_request(request.expect("valid"))
        .await
        .expect("an answer");
    assert_eq!(Answer::of(done).await.body, "late");
}

// ---- tower

/// Submits to a wrapped service of the layer, and polls for the result.
async fn finishes<S, R>(service: S)
where
    S: Service<Request<Body>, Response = Response<tower_async_job::ResponseBody<R>>> + Clone,
    S::Error: std::fmt::Debug,
    R: http_body::Body<Data = Bytes>,
    R::Error: Into<tower::BoxError>,
{
    let accepted = send(&service, post("/report")).await.pending();
    sleep(2 * SECOND).await;
    assert_eq!(
        send(&service, support::get(accepted.location())).await.body,
        "late"
    );
}

#[tokio::test(start_paused = true)]
async fn tower_middleware_beneath_and_above() {
    let late = || slow(SECOND, "late");
    finishes(jobs().layer(ConcurrencyLimitLayer::new(1).layer(late()))).await;
    finishes(ConcurrencyLimitLayer::new(1).layer(jobs().layer(late()))).await;
    finishes(BoxCloneService::new(jobs().layer(late()))).await;
    finishes(BoxCloneSyncService::new(jobs().layer(late()))).await;
    finishes(jobs().layer(BoxCloneService::new(late()))).await;
    finishes(
        ServiceBuilder::new()
            .buffer(8)
            .layer(jobs())
            .service(late()),
    )
    .await;
    finishes(
        ServiceBuilder::new()
            .layer(jobs())
            .buffer(8)
            .service(late()),
    )
    .await;
    finishes(
        ServiceBuilder::new()
            .map_request(|request: Request<Body>| request)
            .layer(jobs())
            .map_response(|response: Response<Body>| response)
            .concurrency_limit(10)
            .service(late()),
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn layer_above_itself_asks_the_outer_one() {
    let inner = eager(AsyncJobLayer::builder().base("/inner"));
    let outer = AsyncJobLayer::builder()
        .inline_wait(Duration::from_secs(5))
        .build()
        .expect("valid");
    let app = Router::new().route("/report", post_route(report));
    let service = outer.layer(inner.layer(app));
    let request = Request::post("/report")
        .body(AxumBody::empty())
        .expect("valid");
    // The inner layer, which would have deferred it, passed it through.
    let answer = Answer::of(call(&service, request).await).await;
    assert_eq!(answer.body, "report");
}

#[test]
fn types_can_be_named_and_sent() {
    fn sendable<T: Send + 'static>() {}
    fn shared<T: Send + Sync + Clone + 'static>() {}
    shared::<AsyncJobLayer>();
    shared::<tower_async_job::JobResource>();
    shared::<AsyncJob<axum::routing::Route>>();
    shared::<JobContext>();
    sendable::<JobBody<AxumBody>>();
    sendable::<tower_async_job::ResponseBody<AxumBody>>();
    sendable::<tower_async_job::ResponseFuture<axum::routing::Route, AxumBody, AxumBody>>();
    sendable::<tower_async_job::ResourceFuture>();
}
