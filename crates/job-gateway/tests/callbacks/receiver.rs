//! A receiver of callbacks, over TLS.

use std::{
    collections::VecDeque,
    convert::Infallible,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use rcgen::generate_simple_self_signed;
use rustls::{
    ServerConfig,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::support::soon;

/// A callback, as it is received.
#[derive(Clone, Debug)]
pub(crate) struct Callback {
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Callback {
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers[name].to_str().unwrap()
    }
}

/// A receiver on a free port, whose certificate is in its folder.
pub(crate) struct Receiver {
    pub(crate) address: SocketAddr,
    pub(crate) folder: TempDir,
    connections: Arc<AtomicUsize>,
    callbacks: Arc<Mutex<Vec<Callback>>>,
}

impl Receiver {
    /// Starts a receiver that gives these answers, and then 204.
    pub(crate) async fn answering(statuses: impl IntoIterator<Item = u16>) -> Self {
        let pair = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("receiver.pem"), pair.cert.pem()).unwrap();
        let key = PrivatePkcs8KeyDer::from(pair.signing_key.serialize_der());
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![pair.cert.der().clone()], PrivateKeyDer::from(key));
        let acceptor = TlsAcceptor::from(Arc::new(config.unwrap()));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let receiver = Self {
            address: listener.local_addr().unwrap(),
            folder,
            connections: Arc::default(),
            callbacks: Arc::default(),
        };
        let statuses = Arc::new(Mutex::new(VecDeque::from_iter(statuses)));
        let (connections, callbacks) = (receiver.connections.clone(), receiver.callbacks.clone());
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                connections.fetch_add(1, Ordering::SeqCst);
                let (acceptor, statuses) = (acceptor.clone(), statuses.clone());
                let callbacks = callbacks.clone();
                let service = service_fn(move |request| {
                    let (statuses, callbacks) = (statuses.clone(), callbacks.clone());
                    async move {
                        let (head, body) = http::Request::into_parts(request);
                        let body: hyper::body::Incoming = body;
                        let body = body.collect().await.unwrap().to_bytes();
                        let headers = head.headers;
                        callbacks.lock().unwrap().push(Callback { headers, body });
                        let status = statuses.lock().unwrap().pop_front().unwrap_or(204);
                        let mut answer = Response::new(Full::<Bytes>::default());
                        *answer.status_mut() = StatusCode::from_u16(status).unwrap();
                        Ok::<_, Infallible>(answer)
                    }
                });
                tokio::spawn(async move {
                    if let Ok(stream) = acceptor.accept(stream).await {
                        let connection =
                            http1::Builder::new().serve_connection(TokioIo::new(stream), service);
                        let _ = connection.await;
                    }
                });
            }
        });
        receiver
    }

    /// Returns its URL, in the form of a preference.
    pub(crate) fn preference(&self) -> String {
        let port = self.address.port();
        format!("respond-async, callback; url=\"https://localhost:{port}/hook?job=1\"")
    }

    /// Waits for this number of callbacks.
    pub(crate) async fn received(&self, count: usize) -> Vec<Callback> {
        soon(async {
            loop {
                let received = self.callbacks.lock().unwrap().clone();
                if received.len() >= count {
                    return received;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
        .await
    }

    /// Waits for a time in which something would come, and asserts that nothing has.
    pub(crate) async fn assert_silent(&self) {
        tokio::time::sleep(Duration::from_millis(1500)).await;
        assert_eq!(self.connections(), 0);
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}
