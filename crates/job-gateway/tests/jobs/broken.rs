//! Responses that break off after their request has become a job.

use std::time::Duration;

use http::{Request, StatusCode};
use http_body_util::Full;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::sleep,
};

use crate::support::{Gateway, Upstream, get, send};

#[tokio::test]
async fn s34_a_response_that_breaks_off_is_a_502_of_its_job() {
    let upstream = Upstream::of_connections(|mut stream| async move {
        let _ = stream.read(&mut [0; 4096]).await;
        sleep(Duration::from_millis(300)).await;
        let half = b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf";
        let _ = stream.write_all(half).await;
    });
    let upstream = upstream.await;
    let gateway = Gateway::before(&upstream.url(), &["--inline-wait", "100ms"]).await;
    let request = Request::post(gateway.url("/"))
        .body(Full::default())
        .unwrap();
    let pending = send(request).await;
    assert_eq!(pending.status, StatusCode::SEE_OTHER);
    sleep(Duration::from_millis(400)).await;
    let ended = get(gateway.url(pending.header("location"))).await;
    assert_eq!(ended.status, StatusCode::BAD_GATEWAY, "{ended:?}");
    assert_eq!(ended.header("job-status"), "failed");
    assert_eq!(
        ended.header("proxy-status"),
        "job-gateway; error=http_response_incomplete"
    );
    let problem: serde_json::Value = serde_json::from_slice(&ended.body).unwrap();
    assert_eq!(problem["detail"], "the server's response broke off");
}
