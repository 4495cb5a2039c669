//! The layer on the clients that it is for, and between the layers that
//! stand around it. Most of this needs to compile only.

use std::{future, time::Duration};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{Empty, Full};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use tokio::time::Instant;
use tonic::{client::GrpcService, transport::Channel};
use tower::{
    BoxError, Layer, Service, ServiceBuilder, ServiceExt,
    buffer::BufferLayer,
    retry::{Policy, RetryLayer},
    util::BoxCloneService,
};
use tower_http::follow_redirect::{FollowRedirectLayer, RequestUri};
use tower_poll::{PollLayer, PollService};

use crate::common::{Script, TestBody, answer, exact_layer, post, see_other};

/// Sends three times in all, at once, what failed or was answered by 502.
#[derive(Clone, Debug)]
struct Thrice {
    left: usize,
}

impl<R, E> Policy<Request<TestBody>, Response<R>, E> for Thrice {
    type Future = future::Ready<()>;

    fn retry(
        &mut self,
        _: &mut Request<TestBody>,
        result: &mut Result<Response<R>, E>,
    ) -> Option<Self::Future> {
        let is_good = result
            .as_ref()
            .is_ok_and(|response| response.status() != StatusCode::BAD_GATEWAY);
        if is_good {
            return None;
        }
        self.left = self.left.checked_sub(1)?;
        Some(future::ready(()))
    }

    fn clone_request(&mut self, request: &Request<TestBody>) -> Option<Request<TestBody>> {
        let mut copy = Request::new(request.body().clone());
        *copy.method_mut() = request.method().clone();
        *copy.uri_mut() = request.uri().clone();
        *copy.version_mut() = request.version();
        *copy.headers_mut() = request.headers().clone();
        Some(copy)
    }
}

const THRICE: Thrice = Thrice { left: 2 };

/// The properties that a client must have, for the caller's body `B`.
fn assert_client<S, B, R>(service: &S)
where
    S: Service<Request<B>, Response = Response<R>, Future: Send> + Clone + Send + 'static,
    S::Error: Into<BoxError>,
{
    let _ = service;
}

fn hyper_client<B>() -> Client<HttpConnector, B>
where
    B: http_body::Body<Data: Send> + Send,
{
    Client::builder(TokioExecutor::new()).build_http()
}

#[tokio::test]
async fn stands_on_hyper() {
    assert_client(&PollLayer::new().layer(hyper_client::<Full<Bytes>>()));
    assert_client(&PollLayer::new().layer(hyper_client::<Empty<Bytes>>()));
}

#[tokio::test]
async fn stands_on_a_tonic_channel_and_beneath_a_tonic_client() {
    fn assert_grpc<T: GrpcService<tonic::body::Body>>(_: &T) {}

    let channel = Channel::from_static("http://localhost:1").connect_lazy();
    let service: PollService<Channel> = PollLayer::new().layer(channel);
    assert_client::<_, tonic::body::Body, _>(&service);
    assert_grpc(&service);
    let _client = tonic::client::Grpc::new(service);
}

#[tokio::test]
async fn stands_on_a_buffer() {
    let service = ServiceBuilder::new()
        .layer(PollLayer::new())
        .layer(BufferLayer::new(1))
        .service(hyper_client::<TestBody>());
    assert_client(&service);
}

#[tokio::test]
async fn stands_on_a_boxed_service_and_can_be_boxed() {
    let inner = BoxCloneService::new(hyper_client::<TestBody>());
    let service = PollLayer::new().layer(inner);
    assert_client(&service);
    assert_client(&BoxCloneService::new(service));
}

#[tokio::test]
async fn stands_between_the_layers_it_is_for() {
    let service = ServiceBuilder::new()
        .layer(FollowRedirectLayer::new())
        .layer(PollLayer::new())
        .layer(RetryLayer::new(THRICE))
        .service(hyper_client::<TestBody>());
    assert_client(&service);
}

#[cfg(feature = "reqwest")]
#[test]
fn stands_on_reqwest() {
    use tower_poll::reqwest::ReqwestService;

    let client = ReqwestService::build(reqwest::Client::builder()).unwrap();
    let service = PollLayer::new().layer(client);
    assert_client::<_, reqwest::Body, reqwest::Body>(&service);
}

#[tokio::test(start_paused = true)]
async fn redirects_outside_and_retries_inside_keep_out_of_each_other() {
    let script = Script::new(|number, request| {
        let path = request.uri().path();
        match (number, path) {
            (0, "/old") => answer(302, &[("location", "/report")]),
            (1, "/report") => see_other("/work/1"),
            (2, "/work/1") => Err("reset".into()),
            (3, "/work/1") => answer(502, &[]),
            (4, "/work/1") => see_other("/work/1?poll=2"),
            (5, "/work/1") => answer(200, &[("job-status", "done")]),
            _ => panic!("request {number} was for {path}"),
        }
    });
    let service = ServiceBuilder::new()
        .layer(FollowRedirectLayer::new())
        .layer(exact_layer())
        .layer(RetryLayer::new(THRICE))
        .service(script.clone());
    let start = Instant::now();
    let response = service
        .oneshot(post("https://example.com/old"))
        .await
        .unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(start.elapsed(), Duration::from_secs(2));
    assert_eq!(script.count(), 6);
    let uri = &response.extensions().get::<RequestUri>().unwrap().0;
    assert_eq!(uri, "https://example.com/report");
}

#[tokio::test(start_paused = true)]
async fn redirect_that_is_the_answer_of_a_job_is_left_to_the_layer_outside() {
    let script = Script::new(|number, _| match number {
        0 => see_other("/work/1"),
        1 => answer(303, &[("job-status", "done"), ("location", "/made")]),
        _ => answer(200, &[]),
    });
    let service = ServiceBuilder::new()
        .layer(FollowRedirectLayer::new())
        .layer(exact_layer())
        .service(script.clone());
    let response = service.oneshot(post("https://example.com/report")).await;
    assert_eq!(response.unwrap().status(), StatusCode::OK);
    assert_eq!(script.uris()[2], "https://example.com/made");
}
