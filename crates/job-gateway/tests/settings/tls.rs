//! Clients over TLS.

use std::{fs, sync::Arc, time::Duration};

use http::{Request, Response};
use http_body_util::{BodyExt, Empty, Full};
use hyper::body::Bytes;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{CertifiedKey, KeyPair, generate_simple_self_signed};
use rustix::process::Signal;
use rustls::{ClientConfig, RootCertStore, pki_types::ServerName};
use tempfile::TempDir;
use tokio::{net::TcpStream, time::sleep};
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::support::{Gateway, Upstream, command, soon};

/// Returns a certificate for this machine, with its key.
pub(crate) fn pair() -> CertifiedKey<KeyPair> {
    generate_simple_self_signed(["localhost".to_owned()]).unwrap()
}

/// Writes a certificate and its key.
pub(crate) fn write(folder: &TempDir, pair: &CertifiedKey<KeyPair>) {
    let write = |name, text| fs::write(folder.path().join(name), text).unwrap();
    write("a.pem", pair.cert.pem());
    write("a.key", pair.signing_key.serialize_pem());
}

/// Connects with a client that trusts one certificate.
pub(crate) async fn connect(
    gateway: &Gateway,
    trusted: &CertifiedKey<KeyPair>,
    protocol: &str,
) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.cert.der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
    let address = gateway.listening[0].strip_prefix("https://").unwrap();
    let stream = TcpStream::connect(address).await?;
    let name = ServerName::try_from("localhost").unwrap();
    soon(TlsConnector::from(Arc::new(config)).connect(name, stream)).await
}

#[tokio::test]
async fn clients_connect_over_tls_and_certificates_are_replaced() {
    let upstream = Upstream::of_requests(|request| async move {
        let scheme = request.headers()["x-forwarded-proto"].clone();
        Response::new(Full::from(scheme.as_bytes().to_vec()))
    })
    .await;
    let folder = TempDir::new().unwrap();
    let (first, second) = (pair(), pair());
    write(&folder, &first);
    let settings = format!(
        "listen = [\"127.0.0.1:0\"]\ntls = {{ certificate = \"a.pem\", key = \"a.key\" }}\n\
         [upstreams.app]\nurl = \"{}\"\n",
        upstream.url()
    );
    let path = folder.path().join("gateway.toml");
    fs::write(&path, settings).unwrap();
    let path = path.display().to_string();
    let gateway = Gateway::start(command(["--config", &path])).await;

    let stream = connect(&gateway, &first, "h2").await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let executor = TokioExecutor::new();
    let handshake = hyper::client::conn::http2::handshake(executor, TokioIo::new(stream));
    let (mut open, connection) = handshake.await.unwrap();
    tokio::spawn(connection);
    let request = || Request::get("https://localhost/").body(Empty::<Bytes>::new());
    let answer = soon(open.send_request(request().unwrap())).await.unwrap();
    let scheme = answer.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(scheme, "https");
    let stream = connect(&gateway, &first, "http/1.1").await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
    assert!(connect(&gateway, &second, "h2").await.is_err());

    // A key of another certificate is refused, and the first one stays.
    fs::write(
        folder.path().join("a.key"),
        second.signing_key.serialize_pem(),
    )
    .unwrap();
    gateway.signal(Signal::HUP);
    sleep(Duration::from_millis(200)).await;
    assert!(connect(&gateway, &first, "h2").await.is_ok());

    write(&folder, &second);
    gateway.signal(Signal::HUP);
    let replaced = async {
        while connect(&gateway, &second, "h2").await.is_err() {
            sleep(Duration::from_millis(20)).await;
        }
    };
    soon(replaced).await;
    assert!(connect(&gateway, &first, "h2").await.is_err());
    let answer = soon(open.send_request(request().unwrap())).await.unwrap();
    assert_eq!(answer.status(), 200);
}
