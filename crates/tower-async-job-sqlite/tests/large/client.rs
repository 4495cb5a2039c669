//! Clients that read as slowly as they like.

use std::{net::SocketAddr, time::Duration};

use axum::body::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::{TcpSocket, TcpStream};

use crate::{content, server::BUFFER};

/// The ways in which the end of a body is marked.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Framing {
    /// HTTP/1.1 with a Content-Length.
    Length,
    /// HTTP/1.1 in chunks.
    Chunked,
    /// HTTP/2.
    Streams,
}

impl Framing {
    pub(crate) const ALL: [Self; 3] = [Self::Length, Self::Chunked, Self::Streams];
}

/// Sends a request on a connection of its own.
pub(crate) async fn send(
    address: SocketAddr,
    framing: Framing,
    method: Method,
    path: &str,
) -> Response<Incoming> {
    let mut request = Request::builder().method(method);
    request = match framing {
        Framing::Length => request.uri(path).header(header::HOST, "x"),
        Framing::Chunked => request
            .uri(path)
            .header(header::HOST, "x")
            .header(header::TE, "trailers"),
        Framing::Streams => request.uri(format!("http://x{path}")),
    };
    let request = request.body(Empty::<Bytes>::new()).unwrap();
    let io = TokioIo::new(connect(address).await);
    if let Framing::Streams = framing {
        let mut client = hyper::client::conn::http2::Builder::new(TokioExecutor::new());
        client
            .initial_stream_window_size(BUFFER)
            .initial_connection_window_size(BUFFER);
        let (mut client, connection) = client.handshake(io).await.unwrap();
        tokio::spawn(connection);
        client.send_request(request).await.unwrap()
    } else {
        let mut client = hyper::client::conn::http1::Builder::new();
        client.max_buf_size(BUFFER as usize);
        let (mut client, connection) = client.handshake(io).await.unwrap();
        tokio::spawn(connection);
        client.send_request(request).await.unwrap()
    }
}

async fn connect(address: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(BUFFER).unwrap();
    socket.connect(address).await.unwrap()
}

/// Submits a job with a result of this length, and waits for its end; returns its path.
pub(crate) async fn ended(address: SocketAddr, length: u64) -> String {
    let path = format!("/results/{length}");
    let accepted = send(address, Framing::Length, Method::POST, &path).await;
    assert_eq!(accepted.status(), StatusCode::SEE_OTHER);
    let location = accepted.headers()[header::LOCATION].to_str().unwrap();
    let job = location.split('?').next().unwrap();
    loop {
        let head = send(address, Framing::Length, Method::HEAD, job).await;
        if head.status() != StatusCode::SEE_OTHER {
            assert_eq!(head.status(), StatusCode::OK);
            return job.to_owned();
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Returns the state of a job that its server tells.
pub(crate) async fn state(address: SocketAddr, job: &str) -> String {
    let head = send(address, Framing::Length, Method::HEAD, job).await;
    head.headers()["job-status"].to_str().unwrap().to_owned()
}

/// A result that is being read.
pub(crate) struct Download {
    body: Incoming,
    /// The bytes read so far, all of which were those of the content.
    pub(crate) read: u64,
}

impl Download {
    pub(crate) async fn begin(
        address: SocketAddr,
        framing: Framing,
        job: &str,
        length: u64,
    ) -> Self {
        let answer = send(address, framing, Method::GET, job).await;
        assert_eq!(answer.status(), StatusCode::OK);
        let expected = match framing {
            Framing::Length => Some(length.to_string()),
            Framing::Chunked | Framing::Streams => None,
        };
        assert_eq!(field(answer.headers(), "content-length"), expected);
        Self {
            body: answer.into_body(),
            read: 0,
        }
    }

    /// Reads until there are this many bytes in total, or the end of the body.
    pub(crate) async fn read_to(&mut self, total: u64) -> Result<(), hyper::Error> {
        while self.read < total
            && let Some(frame) = self.body.frame().await
        {
            let mut data = frame?.into_data().unwrap_or_default();
            while !data.is_empty() {
                let expected = content::part(self.read, data.len());
                assert_eq!(data.split_to(expected.len()), expected, "{}", self.read);
                self.read += expected.len() as u64;
            }
        }
        Ok(())
    }

    /// Reads the rest; returns the length of the body.
    pub(crate) async fn finish(mut self) -> Result<u64, hyper::Error> {
        self.read_to(u64::MAX).await?;
        Ok(self.read)
    }
}

fn field(headers: &HeaderMap, name: &str) -> Option<String> {
    let value = headers.get(name)?;
    Some(value.to_str().unwrap().to_owned())
}
