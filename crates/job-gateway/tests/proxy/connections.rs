//! Connections to servers over TLS and HTTP/2.

use std::{fs, sync::Arc, time::Duration};

use http::{Request, Response, Version};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use rcgen::{CertifiedKey, KeyPair, generate_simple_self_signed};
use rustix::process::Signal;
use rustls::{
    ServerConfig,
    crypto::ring,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};
use tempfile::NamedTempFile;
use tokio::time::sleep;
use tokio_rustls::TlsAcceptor;

use crate::{
    failures::failed,
    support::{Body, Gateway, Upstream, full, get, send, soon},
};

/// Answers with the version of a request and the server that it asks.
async fn facts(request: Request<Incoming>) -> Response<Body> {
    let host = request.headers().get("host");
    let host = host.map(|host| host.to_str().unwrap().to_owned());
    let authority = request.uri().authority().map(ToString::to_string);
    Response::new(full(format!(
        "{:?} {host:?} {authority:?}",
        request.version()
    )))
}

fn pair() -> CertifiedKey<KeyPair> {
    generate_simple_self_signed(["localhost".to_owned()]).unwrap()
}

/// Starts a server of TLS with a certificate.
async fn encrypted(pair: &CertifiedKey<KeyPair>, protocol: &str) -> Upstream {
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(pair.signing_key.serialize_der()));
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![pair.cert.der().clone()], key)
        .unwrap();
    config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(config));
    Upstream::of_connections(move |stream| {
        let acceptor = acceptor.clone();
        async move {
            let Ok(stream) = acceptor.accept(stream).await else {
                return;
            };
            let service = service_fn(|request| async {
                Ok::<_, std::convert::Infallible>(facts(request).await)
            });
            let builder = auto::Builder::new(TokioExecutor::new());
            let _ = builder
                .serve_connection(TokioIo::new(stream), service)
                .await;
        }
    })
    .await
}

/// Returns the settings of a server whose root is in a file.
fn settings(upstream: &Upstream, roots: &NamedTempFile, http2: bool) -> String {
    let (port, roots) = (upstream.address.port(), roots.path().display());
    format!(
        "[upstreams.app]\nurl = \"https://localhost:{port}\"\nroots = \"{roots}\"\nhttp2 = {http2}\n"
    )
}

fn write(file: &NamedTempFile, pair: &CertifiedKey<KeyPair>) {
    fs::write(file, pair.cert.pem()).unwrap();
}

#[tokio::test]
async fn a_server_is_asked_over_tls() {
    let pair = pair();
    let roots = NamedTempFile::new().unwrap();
    write(&roots, &pair);
    for (protocol, http2, version) in [
        ("http/1.1", false, Version::HTTP_11),
        ("http/1.1", true, Version::HTTP_11),
        ("h2", true, Version::HTTP_2),
    ] {
        let upstream = encrypted(&pair, protocol).await;
        let gateway = Gateway::with(&settings(&upstream, &roots, http2)).await;
        let address = gateway.address();
        let expected = match version {
            Version::HTTP_2 => format!("HTTP/2.0 None Some({address:?})"),
            _ => format!("HTTP/1.1 Some({address:?}) None"),
        };
        assert_eq!(get(gateway.url("/")).await.text(), expected);
    }
}

#[tokio::test]
async fn a_certificate_is_accepted_once_its_root_is_and_the_settings_are_read_again() {
    let (pair, other) = (pair(), self::pair());
    let roots = NamedTempFile::new().unwrap();
    write(&roots, &other);
    let upstream = encrypted(&pair, "http/1.1").await;
    let gateway = Gateway::with(&settings(&upstream, &roots, false)).await;
    failed(&get(gateway.url("/")).await, 502, "tls_certificate_error");
    write(&roots, &pair);
    gateway.signal(Signal::HUP);
    let accepted = async {
        while get(gateway.url("/")).await.status != 200 {
            sleep(Duration::from_millis(20)).await;
        }
    };
    soon(accepted).await;
}

#[tokio::test]
async fn a_server_is_asked_over_http2_without_tls() {
    let upstream = Upstream::of_requests(facts).await;
    let url = upstream.url().replace("http:", "h2c:");
    let gateway = Gateway::before(&url, &[]).await;
    let request = Request::get(gateway.url("/")).header("host", "shop.test");
    let answer = send(request.body("".into()).unwrap()).await;
    assert_eq!(answer.text(), "HTTP/2.0 None Some(\"shop.test\")");
}

#[tokio::test]
async fn a_server_that_speaks_no_http2_is_named_so() {
    let (upstream, _) = Upstream::of_bytes(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
    let url = upstream.url().replace("http:", "h2c:");
    let gateway = Gateway::before(&url, &[]).await;
    failed(&get(gateway.url("/")).await, 502, "http_protocol_error");
}
