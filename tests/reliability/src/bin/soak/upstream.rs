//! The server behind the gateway.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::Request,
    response::Response,
};
use http_body_util::BodyExt;
use tokio::{net::TcpListener, time::sleep};

/// A server that counts its calls.
pub(crate) struct Upstream {
    pub(crate) address: SocketAddr,
    running: Arc<AtomicUsize>,
}

/// A call, until its answer is made or it is dropped.
struct Running(Arc<AtomicUsize>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Upstream {
    pub(crate) async fn start() -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let running = Arc::new(AtomicUsize::new(0));
        let counted = running.clone();
        let serve = move |request| {
            counted.fetch_add(1, Ordering::Relaxed);
            let running = Running(counted.clone());
            async move {
                let _running = running;
                answer(request).await
            }
        };
        let router = Router::new().fallback(serve);
        tokio::spawn(async move { drop(axum::serve(listener, router).await) });
        Ok(Self { address, running })
    }

    /// Returns the number of calls under way.
    pub(crate) fn running(&self) -> usize {
        self.running.load(Ordering::Relaxed)
    }
}

/// Answers `/{work}/{text}?{milliseconds}` after that time: with the text, a number of bytes that it
/// is, or the length of the upload.
async fn answer(request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let length = match body.collect().await {
        Ok(body) => body.to_bytes().len(),
        Err(_) => 0,
    };
    let milliseconds = parts.uri.query().and_then(|query| query.parse().ok());
    sleep(Duration::from_millis(milliseconds.unwrap_or_default())).await;
    let mut segments = parts.uri.path().split('/').skip(1);
    let (work, text) = (segments.next(), segments.next().unwrap_or_default());
    let body = match work {
        Some("bytes") => Bytes::from(vec![b'x'; text.parse().unwrap_or_default()]),
        Some("length") => length.to_string().into(),
        _ => text.to_owned().into(),
    };
    Response::new(Body::from(body))
}
