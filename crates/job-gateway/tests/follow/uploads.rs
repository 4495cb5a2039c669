//! Uploads that go on after the server has made a job of their request.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::mpsc,
    time::sleep,
};

use crate::{
    jobs::following,
    support::{Upstream, soon},
};

const PENDING: &[u8] = b"HTTP/1.1 202 Accepted\r\nlocation: /jobs/7\r\nretry-after: 1\r\n\
    content-length: 0\r\n\r\n";

#[tokio::test]
async fn an_upload_ends_once_the_server_has_made_a_job_of_it() {
    let (sender, mut ended) = mpsc::unbounded_channel();
    let upstream = Upstream::of_connections(move |mut stream| {
        let sender = sender.clone();
        async move {
            let mut head = [0; 4096];
            let mut is_upload = false;
            while let Ok(read @ 1..) = stream.read(&mut head).await {
                let is_poll = head[..read].starts_with(b"GET ");
                if is_poll || head[..read].starts_with(b"POST ") {
                    let _ = stream.write_all(PENDING).await;
                    is_upload = !is_poll;
                }
            }
            if is_upload {
                sender.send(()).unwrap();
            }
        }
    })
    .await;
    let gateway = following(&upstream, "inline_wait = \"20s\"").await;
    let mut client = TcpStream::connect(gateway.address()).await.unwrap();
    let head = "POST /slow HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n";
    client.write_all(head.as_bytes()).await.unwrap();
    let uploading = tokio::spawn(async move {
        while client.write_all(b"5\r\npiece\r\n").await.is_ok() {
            sleep(Duration::from_millis(20)).await;
        }
    });
    soon(ended.recv()).await.unwrap();
    uploading.abort();
}
