//! Clients of the gateway: whole requests, and bytes that are none.

use std::{net::SocketAddr, time::Duration};

use anyhow::Context;
use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::{
    client::legacy::{self, connect::HttpConnector},
    rt::TokioExecutor,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

/// The maximum time for an answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// A client. Clones share its connections.
#[derive(Clone)]
pub(crate) struct Client {
    address: SocketAddr,
    client: legacy::Client<HttpConnector, Full<Bytes>>,
}

/// An answer with its body.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Client {
    pub(crate) fn new(address: SocketAddr) -> Self {
        let client = legacy::Client::builder(TokioExecutor::new()).build_http();
        Self { address, client }
    }

    /// Sends a request, and reads its answer to the end.
    pub(crate) async fn send(
        &self,
        method_and_path: &str,
        fields: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> anyhow::Result<Answer> {
        let (method, path) = method_and_path.split_once(' ').context("a method")?;
        let mut request = Request::builder();
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        let uri = format!("http://{}{path}", self.address);
        let request = request
            .method(method)
            .uri(uri)
            .body(Full::new(body.into()))?;
        let answering = async {
            let (head, body) = self.client.request(request).await?.into_parts();
            anyhow::Ok(Answer {
                status: head.status,
                headers: head.headers,
                body: body.collect().await?.to_bytes(),
            })
        };
        let answered = timeout(PATIENCE, answering).await;
        answered.with_context(|| format!("no answer in time to {method_and_path}"))?
    }

    /// Sends bytes on a connection, and reads `at_most` bytes of the answer before it disconnects.
    pub(crate) async fn send_bytes(&self, bytes: &[u8], at_most: u64) -> anyhow::Result<Vec<u8>> {
        let talking = async {
            let mut stream = TcpStream::connect(self.address).await?;
            stream.write_all(bytes).await?;
            let mut read = Vec::new();
            // A connection that is reset has ended too.
            let _ = (&mut stream).take(at_most).read_to_end(&mut read).await;
            anyhow::Ok(read)
        };
        timeout(PATIENCE, talking).await.context("no end in time")?
    }
}
