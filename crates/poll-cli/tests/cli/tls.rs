//! https with a root certificate of the test.

use std::{io::Write, sync::Arc};

use http::Version;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tempfile::NamedTempFile;
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        RootCertStore, ServerConfig, crypto::ring, pki_types::PrivateKeyDer,
        server::WebPkiClientVerifier,
    },
};

use crate::{
    poll::{Ran, command, finish},
    server::{Answer, Seen, Server, pending, reply, with},
};

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority() -> Authority {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

fn file(pem: &str) -> NamedTempFile {
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(pem.as_bytes()).unwrap();
    file
}

/// Starts a server with a certificate for `localhost`, and returns its root
/// certificate.
pub(crate) async fn server(
    play: impl Fn(usize, &Seen) -> Answer + Send + Sync + 'static,
) -> (Server, NamedTempFile) {
    let authority = authority();
    (serve(&authority, false, play).await, file(&authority.pem()))
}

async fn serve(
    authority: &Authority,
    asks_for_certificates: bool,
    play: impl Fn(usize, &Seen) -> Answer + Send + Sync + 'static,
) -> Server {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(["localhost".to_owned()])
        .unwrap()
        .signed_by(&key, authority)
        .unwrap();
    let provider = Arc::new(ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap();
    let builder = if asks_for_certificates {
        let mut roots = RootCertStore::empty();
        roots.add(authority.der().clone()).unwrap();
        let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider);
        builder.with_client_cert_verifier(verifier.build().unwrap())
    } else {
        builder.with_no_client_auth()
    };
    let mut config = builder
        .with_single_cert(
            vec![certificate.der().clone()],
            PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
        )
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Server::serve(Some(TlsAcceptor::from(Arc::new(config))), play).await
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

#[tokio::test]
async fn roots_can_be_named_or_not_be_looked_at() {
    let (server, root) = server(|_, _| reply(200, "done")).await;
    let none = NamedTempFile::new().unwrap();
    let url = server.url("/");
    let file = root.path().to_str().unwrap();
    for arguments in [&["--cacert", file, &url][..], &["-k", &url]] {
        let ran = trusting(&none, arguments).await;
        assert_eq!(ran.exits_with(0).stdout, "done");
    }
    let empty = none.path().to_str().unwrap();
    for file in [empty, "/no/such/file"] {
        let ran = trusting(&root, &["--cacert", file, &url])
            .await
            .exits_with(77);
        assert!(ran.stderr.contains(file), "{ran:?}");
    }
}

#[tokio::test]
async fn certificates_are_refused_in_words() {
    let (server, root) = server(|_, _| reply(200, "done")).await;
    let url = server.url("/");
    let none = NamedTempFile::new().unwrap();
    let ran = trusting(&none, &[&url]).await.exits_with(60);
    let peer = url.replace("https://", "").replace('/', "");
    let expected = format!(
        "poll: the certificate of {peer} cannot be trusted: no root certificate here vouches"
    );
    assert!(ran.stderr.starts_with(&expected), "{ran:?}");
    let ran = trusting(&root, &[&url.replace("localhost", "127.0.0.1")]).await;
    let ran = ran.exits_with(60);
    assert!(ran.stderr.contains("not valid for name"), "{ran:?}");
}

#[tokio::test]
async fn certificate_of_the_client_stays_with_the_origin() {
    let authority = authority();
    let other = serve(&authority, true, |_, _| reply(200, "done")).await;
    let away = other.url("/work/1");
    let server = serve(&authority, true, move |_, _| pending(&away)).await;
    let root = file(&authority.pem());
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(["me".to_owned()])
        .unwrap()
        .signed_by(&key, &authority)
        .unwrap()
        .pem();
    let both = file(&format!("{certificate}{}", key.serialize_pem()));
    let both = both.path().to_str().unwrap();
    let allowed = format!("--cross-origin={}", other.url(""));
    let url = server.url("/");
    let ran = trusting(&root, &["-m", "5", "-E", both, &allowed, &url]).await;
    assert_ne!(ran.code, 0, "{ran:?}");
    assert_eq!(server.seen().len(), 1);
    assert!(other.seen().is_empty());

    let away = other.url("/work/1");
    let dropped =
        format!(r#"{{"version":1,"url":"{away}","origin":"{away}","credentials_dropped":true}}"#);
    let ran = trusting(&root, &["status", "-E", both, &dropped]).await;
    assert_ne!(ran.code, 0, "{ran:?}");
    assert!(other.seen().is_empty());
}

#[tokio::test]
async fn client_shows_its_certificate() {
    let authority = authority();
    let server = serve(&authority, true, |_, _| reply(200, "done")).await;
    let root = file(&authority.pem());
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(["me".to_owned()])
        .unwrap()
        .signed_by(&key, &authority)
        .unwrap()
        .pem();
    let both = file(&format!("{certificate}{}", key.serialize_pem()));
    let (certificate, key) = (file(&certificate), file(&key.serialize_pem()));
    let [both, certificate, key] = [&both, &certificate, &key].map(|f| f.path().to_str().unwrap());
    let url = server.url("/");
    for arguments in [&["-E", both][..], &["--cert", certificate, "--key", key]] {
        let ran = trusting(&root, &[arguments, &[&url]].concat()).await;
        assert_eq!(ran.exits_with(0).stdout, "done");
    }
    // The alert may arrive after the handshake.
    let ran = trusting(&root, &[&url]).await;
    assert!([35, 56].contains(&ran.code), "{ran:?}");
    let ran = trusting(&root, &["-E", certificate, &url])
        .await
        .exits_with(58);
    assert!(
        ran.stderr.contains("there is no private key in it"),
        "{ran:?}"
    );
}
