//! Servers whose answers never end.

use http::Request;
use http_body_util::BodyExt;

use crate::{
    script::{
        Step::{Forever, Hang, Send},
        playing,
    },
    suite::{job, settings, sound},
    support::{Gateway, client, full, soon},
};

const HEAD: &str = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";

/// The memory that a stream may need in all buffers of the gateway.
const BUFFERS: u64 = 8 << 20;

#[tokio::test(flavor = "multi_thread")]
async fn a_body_without_end_is_a_stream_for_a_client_and_no_result() {
    let chunk = format!("1000\r\n{}\r\n", "a".repeat(0x1000)).leak();
    let upstream = playing(vec![
        vec![Send(HEAD), Forever(chunk)],
        vec![Send(HEAD), Send("5\r\nhello\r\n"), Hang],
        vec![Send(HEAD), Forever("5;a=b\r\nhello\r\n")],
        vec![Send(HEAD), Send("5;"), Forever("extension")],
        vec![Send(HEAD), Send("0\r\n"), Forever("x: y\r\n")],
        vec![Send(HEAD), Send("0\r\nx: "), Forever("y")],
    ]);
    let upstream = upstream.await;
    let gateway = Gateway::with(&settings(&upstream.url())).await;
    sound(&gateway).await;
    let before = gateway.usage().await;
    let memory = gateway.peak_memory();
    // As long as the client reads, it receives more.
    let request = Request::get(gateway.url("/inline/0"));
    let leaving = client(false);
    let response = leaving.request(request.body(full("")).unwrap());
    let mut body = soon(response).await.unwrap().into_body();
    let mut received = 0;
    while received < 32 << 20 {
        let frame = soon(body.frame()).await.unwrap().unwrap();
        received += frame.into_data().unwrap().len();
    }
    drop((body, leaving));
    let results = (0..6).map(|number| {
        let gateway = &gateway;
        async move { job(gateway, &format!("/jobs/{number}")).await }
    });
    let results = futures_util::future::join_all(results).await;
    for (number, result) in results.iter().enumerate() {
        assert!(!result.starts_with("200"), "{number}: {result}");
    }
    let grown = gateway.peak_memory() - memory;
    assert!(grown < BUFFERS, "{grown} bytes more than before");
    gateway.nothing_is_left(before).await;
}
