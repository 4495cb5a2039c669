//! Servers that answer before they have read an upload.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpStream, tcp::OwnedWriteHalf},
    time::sleep,
};

use crate::{
    suite::settings,
    support::{Gateway, Upstream, soon},
};

const REFUSAL: &[u8] = b"HTTP/1.1 413 Content Too Large\r\ncontent-length: 8\r\n\r\ntoo long";

/// The pieces of an upload: 16 MiB, more than all buffers between the client and the server have, or
/// small ones without end.
#[derive(Clone, Copy)]
enum Upload {
    Long,
    Endless,
}

impl Upload {
    /// Sends the pieces until the end, or until the peer takes no more.
    async fn send(self, mut stream: OwnedWriteHalf) -> std::io::Result<OwnedWriteHalf> {
        match self {
            Self::Long => {
                let piece = format!("10000\r\n{}\r\n", "a".repeat(0x10000));
                for _ in 0..256 {
                    stream.write_all(piece.as_bytes()).await?;
                }
                stream.write_all(b"0\r\n\r\n").await?;
                Ok(stream)
            }
            Self::Endless => loop {
                stream.write_all(b"5\r\npiece\r\n").await?;
                sleep(Duration::from_millis(20)).await;
            },
        }
    }
}

/// Reads the first piece of a request.
async fn begin(stream: &mut TcpStream) {
    assert!(stream.read(&mut [0; 4096]).await.unwrap() > 0);
}

/// Uploads, and demands that the server's answer arrives meanwhile and nothing is left then.
async fn refusal(upstream: Upstream, path: &str, upload: Upload) {
    let gateway = Gateway::with(&settings(&upstream.url())).await;
    let before = gateway.usage().await;
    let client = TcpStream::connect(gateway.address()).await.unwrap();
    let (mut reader, mut writer) = client.into_split();
    let head = format!("POST {path} HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n");
    writer.write_all(head.as_bytes()).await.unwrap();
    let uploading = tokio::spawn(upload.send(writer));
    let mut answer = Vec::new();
    soon(async {
        while !answer.ends_with(b"too long") {
            let read = reader.read_buf(&mut answer).await;
            let text = String::from_utf8_lossy(&answer);
            assert!(read.is_ok_and(|read| read > 0), "{text}");
        }
    })
    .await;
    assert!(answer.starts_with(b"HTTP/1.1 413"));
    uploading.abort();
    drop(reader);
    gateway.nothing_is_left(before).await;
}

/// Starts a server that answers at once and reads no further.
async fn deaf() -> Upstream {
    Upstream::of_connections(|mut stream| async move {
        begin(&mut stream).await;
        stream.write_all(REFUSAL).await.unwrap();
        sleep(Duration::from_millis(300)).await;
    })
    .await
}

/// Starts a server that answers at once and reads on.
async fn patient() -> Upstream {
    Upstream::of_connections(|mut stream| async move {
        begin(&mut stream).await;
        stream.write_all(REFUSAL).await.unwrap();
        while stream
            .read(&mut [0; 65536])
            .await
            .is_ok_and(|read| read > 0)
        {}
    })
    .await
}

/// Starts a server that answers at once and ends the connection.
async fn hasty() -> Upstream {
    Upstream::of_connections(|mut stream| async move {
        begin(&mut stream).await;
        stream.write_all(REFUSAL).await.unwrap();
        stream.shutdown().await.unwrap();
    })
    .await
}

#[tokio::test]
async fn an_answer_before_the_end_of_an_upload_arrives() {
    for path in ["/inline/a", "/jobs/a"] {
        tokio::join!(
            refusal(deaf().await, path, Upload::Long),
            refusal(patient().await, path, Upload::Long),
            refusal(hasty().await, path, Upload::Long),
        );
    }
}

#[tokio::test]
async fn an_answer_amid_an_upload_without_end_arrives() {
    for path in ["/inline/a", "/jobs/a"] {
        tokio::join!(
            refusal(deaf().await, path, Upload::Endless),
            refusal(hasty().await, path, Upload::Endless),
        );
    }
}
