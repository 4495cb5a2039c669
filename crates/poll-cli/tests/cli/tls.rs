//! https, with a root certificate of the test's own.

use std::{io::Write, sync::Arc};

use http::Version;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tempfile::NamedTempFile;
use tokio_rustls::{
    TlsAcceptor,
    rustls::{ServerConfig, crypto::ring, pki_types::PrivateKeyDer},
};

use crate::{
    poll::{Ran, command, finish},
    server::{Answer, Seen, Server, pending, reply, with},
};

/// A server with a certificate for `localhost`, and the root to trust.
async fn server(
    play: impl Fn(usize, &Seen) -> Answer + Send + Sync + 'static,
) -> (Server, NamedTempFile) {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let root = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(["localhost".to_owned()])
        .unwrap()
        .signed_by(&key, &root)
        .unwrap();
    let mut config = ServerConfig::builder_with_provider(ring::default_provider().into())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
        )
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(root.pem().as_bytes()).unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    (Server::serve(Some(acceptor), play).await, file)
}

async fn trusting(root: &NamedTempFile, arguments: &[&str]) -> Ran {
    let child = command(arguments)
        .env("SSL_CERT_FILE", root.path())
        .spawn()
        .unwrap();
    finish(child).await
}

#[tokio::test]
async fn https_is_followed_over_what_is_negotiated() {
    let (server, root) = server(|n, _| match n {
        0 => pending("/work/1"),
        _ => reply(200, "done"),
    })
    .await;
    let ran = trusting(&root, &["-d", "x", &server.url("/")]).await;
    assert_eq!(ran.exits_with(0).stdout, "done");
    assert_eq!(server.seen()[1].version, Version::HTTP_2);
}

#[tokio::test]
async fn untrusted_certificate_is_60() {
    let (server, _root) = server(|_, _| reply(200, "done")).await;
    let other = NamedTempFile::new().unwrap();
    let ran = trusting(&other, &[&server.url("/")]).await.exits_with(60);
    assert!(ran.stderr.contains("certificate"), "{ran:?}");
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn server_without_tls_is_35() {
    let plain = Server::start(|_, _| reply(200, "done")).await;
    let root = NamedTempFile::new().unwrap();
    let url = plain.url("/").replace("http:", "https:");
    trusting(&root, &[&url]).await.exits_with(35);
}

#[tokio::test]
async fn c02_https_to_http_is_refused_even_where_the_origin_is_allowed() {
    let plain = Server::start(|_, _| reply(200, "done")).await;
    let to = plain.url("/work/1");
    let (server, root) =
        server(move |_, _| with(303, &[("location", &to), ("retry-after", "1")], "")).await;
    let allowed = format!("--cross-origin={}", plain.url(""));
    let ran = trusting(&root, &[&allowed, &server.url("/")]).await;
    let ran = ran.exits_with(9);
    assert!(ran.stderr.contains("from https to http"), "{ran:?}");
    assert!(plain.seen().is_empty());
}
