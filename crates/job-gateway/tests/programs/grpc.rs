//! Streams of tonic, both ways.

use std::{
    convert::Infallible,
    future::{Ready, ready},
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use futures_util::{Stream, StreamExt, stream};
use tokio::{net::TcpListener, sync::mpsc};
use tonic::{
    Code, Request, Response, Status, Streaming,
    body::Body,
    client::Grpc,
    server::{self, NamedService, StreamingService},
    transport::{Endpoint, Server, server::TcpIncoming},
};
use tonic_prost::ProstCodec;
use tower::Service;

use crate::support::{Gateway, soon};

type Codec = ProstCodec<String, String>;
type Greetings = Pin<Box<dyn Stream<Item = Result<String, Status>> + Send>>;

/// A service that greets each name as soon as it has it, and fails at one.
#[derive(Clone)]
struct Greeter;

impl StreamingService<String> for Greeter {
    type Response = String;
    type ResponseStream = Greetings;
    type Future = Ready<Result<Response<Greetings>, Status>>;

    fn call(&mut self, names: Request<Streaming<String>>) -> Self::Future {
        let greetings = names.into_inner().map(|name| match name?.as_str() {
            "" => Err(Status::not_found("no name")),
            name => Ok(format!("hello {name}")),
        });
        ready(Ok(Response::new(Box::pin(greetings))))
    }
}

impl NamedService for Greeter {
    const NAME: &'static str = "test.Greeter";
}

impl Service<http::Request<Body>> for Greeter {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let mut grpc = server::Grpc::new(Codec::default());
        Box::pin(async move { Ok(grpc.streaming(Greeter, request).await) })
    }
}

#[tokio::test]
async fn tonic_streams_both_ways() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("h2c://{}", listener.local_addr().unwrap());
    let server = Server::builder().add_service(Greeter);
    tokio::spawn(server.serve_with_incoming(TcpIncoming::from(listener)));
    let gateway = Gateway::before(&url, &["--inline-wait", "50ms"]).await;

    let channel = Endpoint::from_shared(gateway.url("")).unwrap();
    let mut grpc = Grpc::new(channel.connect().await.unwrap());
    grpc.ready().await.unwrap();
    let (names, waiting) = mpsc::channel::<String>(1);
    let waiting = stream::unfold(waiting, |mut names| async {
        let name = names.recv().await?;
        Some((name, names))
    });
    let path = "/test.Greeter/Greet".parse().unwrap();
    let call = grpc.streaming(Request::new(waiting), path, Codec::default());
    let mut greetings: Streaming<String> = soon(call).await.unwrap().into_inner();
    for name in ["Ada", "Bea", "Cleo"] {
        names.send(name.to_owned()).await.unwrap();
        let greeting = soon(greetings.message()).await.unwrap();
        assert_eq!(greeting.unwrap(), format!("hello {name}"));
        // Longer than the time after which other requests become jobs.
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    names.send(String::new()).await.unwrap();
    let refused = soon(greetings.message()).await.unwrap_err();
    assert_eq!(refused.code(), Code::NotFound);
    assert_eq!(refused.message(), "no name");
}
