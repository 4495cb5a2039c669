//! Clients of the gateway.

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// An answer with its body.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) trailers: Option<HeaderMap>,
}

impl Answer {
    /// Reads an answer to its end.
    pub(crate) async fn read(response: Response<Incoming>) -> Self {
        let (head, body) = response.into_parts();
        let body = super::soon(body.collect()).await.expect("a whole body");
        Self {
            status: head.status,
            headers: head.headers,
            trailers: body.trailers().cloned(),
            body: body.to_bytes(),
        }
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        let value = value.unwrap_or_else(|| panic!("no {name} in {self:?}"));
        value.to_str().unwrap()
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

/// Sends a request over HTTP/1.1 on a connection of its own.
pub(crate) async fn send(request: Request<Full<Bytes>>) -> Answer {
    let client = Client::builder(TokioExecutor::new()).build_http();
    let response = super::soon(client.request(request)).await;
    Answer::read(response.expect("an answer")).await
}

/// Returns a client of HTTP/1.1 or 2.
pub(crate) fn client<B>(http2: bool) -> Client<HttpConnector, B>
where
    B: http_body::Body<Data: Send> + Send + 'static,
{
    let mut builder = Client::builder(TokioExecutor::new());
    builder.http2_only(http2).build_http()
}

/// Sends a GET.
pub(crate) async fn get(url: String) -> Answer {
    send(Request::get(url).body(Full::default()).unwrap()).await
}

/// Sends bytes, and returns all that come back until the connection is closed.
pub(crate) async fn talk(address: &str, bytes: &[u8]) -> String {
    let talking = async {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        let mut read = Vec::new();
        // A reset after the answer is an end too.
        let _ = stream.read_to_end(&mut read).await;
        String::from_utf8_lossy(&read).into_owned()
    };
    super::soon(talking).await
}
