//! sizes
use benches::Body;
use http::{Request, Response};
use tower::{Layer, Service};
use std::{future::{Ready, ready}, convert::Infallible, task::{Context, Poll}};
#[derive(Clone)]
struct Plain;
impl<B> Service<Request<B>> for Plain {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Ready<Result<Response<Body>, Infallible>>;
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> { Poll::Ready(Ok(())) }
    fn call(&mut self, _: Request<B>) -> Self::Future { ready(Ok(Response::default())) }
}
fn main() {
    println!("Request<Full> {}", size_of::<Request<Body>>());
    println!("Request<JobBody<Full>> {}", size_of::<Request<tower_async_job::JobBody<Body>>>());
    println!("Response<Full> {}", size_of::<Response<Body>>());
    println!("Response<ResponseBody<Full>> {}", size_of::<Response<tower_async_job::ResponseBody<Body>>>());
    println!("Plain future {}", size_of::<<Plain as Service<Request<Body>>>::Future>());
    let mut s = tower_async_job::AsyncJobLayer::new().layer(Plain);
    let f = s.call(Request::new(Body::default()));
    println!("AsyncJob future {}", size_of_val(&f));
    println!("JobRecord {}", size_of::<tower_async_job::store::JobRecord>());
    println!("NewJob {}", size_of::<tower_async_job::store::NewJob>());
    let mut s = tower_poll::PollLayer::new().layer(P2);
    let f = s.call(Request::new(Body::default()));
    println!("PollLayer future {}", size_of_val(&f));
}
#[derive(Clone)]
struct P2;
impl Service<Request<Body>> for P2 {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Ready<Result<Response<Body>, Infallible>>;
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> { Poll::Ready(Ok(())) }
    fn call(&mut self, _: Request<Body>) -> Self::Future { ready(Ok(Response::default())) }
}
