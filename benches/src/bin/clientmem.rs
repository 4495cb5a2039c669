//! What a call takes that waits between two polls: `clientmem`.
use benches::{
    Body, Headers,
    memory::{resident, warm_runtime},
    request,
};
use http::{
    HeaderValue, Method, Request, Response, StatusCode,
    header::{LOCATION, RETRY_AFTER},
};
use std::{
    convert::Infallible,
    future::{Ready, ready},
    task::{Context, Poll},
};
use tower::{Layer, Service};
#[derive(Clone)]
struct Server;
impl Service<Request<Body>> for Server {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Ready<Result<Response<Body>, Infallible>>;
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }
    fn call(&mut self, _: Request<Body>) -> Self::Future {
        let mut response = Response::new(Body::default());
        *response.status_mut() = StatusCode::SEE_OTHER;
        response.headers_mut().insert(
            LOCATION,
            HeaderValue::from_str("/work/0123456789abcdef0123456789abcdef?poll=1&due=1000")
                .unwrap(),
        );
        response
            .headers_mut()
            .insert(RETRY_AFTER, HeaderValue::from_static("50"));
        ready(Ok(response))
    }
}
fn main() {
    let n = 50_000usize;
    let runtime = warm_runtime();
    let before = resident().unwrap();
    runtime.block_on(async {
        for _ in 0..n {
            let mut service = tower_poll::PollLayer::new().layer(Server);
            tokio::spawn(async move {
                service
                    .call(request(
                        Method::POST,
                        "https://api.example/report",
                        Headers::Two,
                    ))
                    .await
            });
            tokio::task::yield_now().await;
        }
        for _ in 0..16 {
            tokio::task::yield_now().await;
        }
    });
    println!(
        "{:.0} bytes resident for each waiting call",
        (resident().unwrap() - before) as f64 / n as f64
    );
}
