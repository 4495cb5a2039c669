//! Servers that are not there for a while, or fail at polls.

use std::time::Duration;

use http::StatusCode;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::{net::TcpListener, task::JoinHandle, time::sleep};

use crate::{
    jobs::{accepted, result, settings},
    server::Server,
    support::Gateway,
};

/// Serves on a listener, until the task is aborted.
fn serve(server: &Server, listener: TcpListener) -> JoinHandle<()> {
    let server = server.clone();
    tokio::spawn(async move {
        let mut connections = tokio::task::JoinSet::new();
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let server = server.clone();
            let service = service_fn(move |request| {
                let answer = server.clone().answer(request);
                async { Ok::<_, std::convert::Infallible>(answer.await) }
            });
            let builder = hyper::server::conn::http1::Builder::new();
            connections.spawn(builder.serve_connection(TokioIo::new(stream), service));
        }
    })
}

#[tokio::test]
async fn a_server_that_is_away_for_a_while_is_polled_again() {
    let server = Server::default();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = serve(&server, listener);
    let gateway = Gateway::with(&settings(&format!("http://{address}"), "")).await;
    let job = accepted(&gateway, "/slow").await;
    server.receives("GET /jobs/7", 1).await;
    serving.abort();
    let _ = serving.await;
    server.finish();
    // Longer than the repeats of one poll.
    sleep(Duration::from_secs(5)).await;
    let listener = TcpListener::bind(address).await.unwrap();
    let _serving = serve(&server, listener);
    let answer = result(&gateway, &job).await;
    assert_eq!(
        (answer.status, answer.text()),
        (StatusCode::OK, "the result")
    );
    assert_eq!(server.count("POST /slow"), 1);
}
