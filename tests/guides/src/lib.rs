//! The guides in `docs`: their examples are the tests of this crate. Hidden lines of an example call
//! the functions below.

use std::time::Duration;

use axum::{Router, body::Body};
use http::{Request, Response};
use http_body_util::BodyExt;
use tower::ServiceExt;

mod greeter;

pub use self::greeter::{connect, generated as greeter_api, patient};

/// The names that the examples of servers use without an import.
pub mod prelude {
    pub use std::time::Duration;

    pub use axum::{Router, body::Body, routing::get, routing::post};
    pub use http::{Request, Uri};
    pub use tower_async_job::AsyncJobLayer;
    pub use tower_http::compression::CompressionLayer;

    pub use crate::{ask, location, long_report, report, run};
}

/// The names that the examples of gRPC use without an import.
pub mod grpc {
    pub use std::{error::Error, time::Duration};

    pub use tonic::{Code, Request, metadata::MetadataValue};
    pub use tower::{Layer, ServiceBuilder};
    pub use tower_async_job::AsyncJobLayer;
    pub use tower_poll::{PollLayer, PreferAsync};

    pub use crate::{
        connect,
        greeter_api::{GreetRequest, greeter_client::GreeterClient},
        patient, run,
    };
}

#[doc = include_str!("../../../docs/axum.md")]
mod axum_guide {}
#[doc = include_str!("../../../docs/cluster.md")]
mod cluster_guide {}
#[doc = include_str!("../../../docs/production.md")]
mod production_guide {}
#[doc = include_str!("../../../docs/stores.md")]
mod stores_guide {}
#[doc = include_str!("../../../docs/testing.md")]
mod testing_guide {}
#[doc = include_str!("../../../docs/tonic.md")]
mod tonic_guide {}

/// Runs an example on a paused clock, so that hours of work take no time.
///
/// ```
/// guides::paused(async {
///     tokio::time::sleep(std::time::Duration::from_secs(3600)).await;
/// });
/// ```
///
/// # Panics
///
/// Panics if the example does.
pub fn paused<T>(example: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build();
    runtime.expect("a runtime").block_on(example)
}

/// Runs an example that can fail, on a paused clock.
///
/// ```
/// guides::run(async {
///     assert_eq!("7".parse::<u32>()?, 7);
///     Ok(())
/// });
/// ```
///
/// # Panics
///
/// Panics if the example fails.
pub fn run(example: impl Future<Output = Result<(), tower::BoxError>>) {
    paused(example).expect("no failure");
}

/// A handler that takes ten seconds.
///
/// ```
/// guides::run(async {
///     assert_eq!(guides::report().await, "a report");
///     Ok(())
/// });
/// ```
pub async fn report() -> &'static str {
    tokio::time::sleep(Duration::from_secs(10)).await;
    "a report"
}

/// A handler that takes ten seconds, and whose response is worth compressing.
///
/// ```
/// guides::run(async {
///     assert_eq!(guides::long_report().await.len(), 1_000);
///     Ok(())
/// });
/// ```
pub async fn long_report() -> String {
    report().await.repeat(125)
}

/// Sends a request without a body to an application, and reads the response.
///
/// ```
/// guides::paused(async {
///     let app = axum::Router::new();
///     let response = guides::ask(&app, http::Request::get("/")).await;
///     assert_eq!(response.status(), 404);
/// });
/// ```
///
/// # Panics
///
/// Panics if the request is invalid, or the response breaks off.
pub async fn ask(app: &Router, request: http::request::Builder) -> Response<Vec<u8>> {
    let request: Request<Body> = request.body(Body::empty()).expect("a valid request");
    let response = app.clone().oneshot(request).await;
    let (head, body) = response.expect("never an error").into_parts();
    let body = body.collect().await.expect("a whole body").to_bytes();
    Response::from_parts(head, body.into())
}

/// Returns the URL of the job in a pending answer.
///
/// ```
/// let answer = http::Response::builder().header("location", "/work/7").body(()).unwrap();
/// assert_eq!(guides::location(&answer), "/work/7");
/// ```
///
/// # Panics
///
/// Panics if there is none.
pub fn location<B>(answer: &Response<B>) -> &str {
    let location = answer.headers().get("location");
    let location = location.expect("a pending answer").to_str();
    location.expect("a URL")
}
