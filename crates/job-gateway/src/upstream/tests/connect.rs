//! Connections by names, TCP and TLS, on real sockets.

use std::{
    convert::Infallible,
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use futures_util::{
    FutureExt,
    future::{BoxFuture, pending},
};
use http::{Request, Response, Version};
use http_body_util::Full;
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    client::legacy::connect::dns::Name,
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use rustls::{
    ServerConfig,
    crypto::ring,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};
use tokio::{io::AsyncWriteExt, net::TcpListener, time::sleep};
use tokio_rustls::TlsAcceptor;
use tower::service_fn as resolver;

use super::support::{get, settings, text};
use crate::{
    config::Upstream,
    upstream::{
        Client, Error, Kind,
        connector::{Connect, Connector, Transport},
    },
};

/// Starts a server whose response is a text, or at an address of `port`.
async fn serve(ip: [u8; 4], port: u16, body: &'static str) -> u16 {
    let address = SocketAddr::new(IpAddr::V4(Ipv4Addr::from(ip)), port);
    let listener = TcpListener::bind(address).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        loop {
            let (io, _) = listener.accept().await.unwrap();
            tokio::spawn(answer(TokioIo::new(io), body));
        }
    });
    port
}

async fn answer<T>(io: T, body: &'static str)
where
    T: hyper::rt::Read + hyper::rt::Write + Send + Unpin + 'static,
{
    let service = service_fn(move |request: Request<Incoming>| async move {
        let version = match request.version() {
            Version::HTTP_2 => "over HTTP/2",
            _ => "over HTTP/1.1",
        };
        let body = format!("{body} {version}");
        Ok::<_, Infallible>(Response::new(Full::new(Bytes::from(body))))
    });
    let builder = auto::Builder::new(TokioExecutor::new());
    let _ = builder.serve_connection(io, service).await;
}

/// The addresses of all names, which may change.
type Addresses = Arc<Mutex<Vec<[u8; 4]>>>;

fn client(settings: Upstream, addresses: &Addresses) -> Client {
    let addresses = addresses.clone();
    let resolver = resolver(move |_: Name| {
        let addresses = addresses.lock().unwrap().clone();
        let addresses = addresses.into_iter().map(|ip| SocketAddr::from((ip, 0)));
        let found = addresses.collect::<Vec<_>>().into_iter();
        async move { Ok::<_, io::Error>(found) }
    });
    let upstream = Arc::new(settings);
    let connector = Connector::with_resolver(&upstream, resolver).unwrap();
    Client::with_connector(&upstream, connector)
}

#[tokio::test]
async fn a_server_that_has_moved_is_found_once_its_connections_retire() {
    let port = serve([127, 0, 0, 1], 0, "old").await;
    serve([127, 0, 0, 2], port, "new").await;
    let mut settings = settings(&format!("http://app.test:{port}"));
    settings.max_age = Duration::from_millis(300);
    let addresses = Addresses::new(Mutex::new(vec![[127, 0, 0, 1]]));
    let client = client(settings, &addresses);
    assert_eq!(text(&client, get()).await.unwrap(), "old over HTTP/1.1");
    *addresses.lock().unwrap() = vec![[127, 0, 0, 2]];
    assert_eq!(text(&client, get()).await.unwrap(), "old over HTTP/1.1");
    sleep(Duration::from_millis(350)).await;
    assert_eq!(text(&client, get()).await.unwrap(), "new over HTTP/1.1");
}

#[tokio::test]
async fn the_addresses_of_a_name_are_tried_in_turn() {
    let port = serve([127, 0, 0, 2], 0, "second").await;
    let addresses = Addresses::new(Mutex::new(vec![[127, 0, 0, 1], [127, 0, 0, 2]]));
    let client = client(settings(&format!("http://app.test:{port}")), &addresses);
    assert_eq!(text(&client, get()).await.unwrap(), "second over HTTP/1.1");
}

#[tokio::test]
async fn a_server_that_accepts_no_connection_and_a_name_without_address_are_refused() {
    let port = {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap().port()
    };
    let addresses = Addresses::default();
    let client = client(settings(&format!("http://app.test:{port}")), &addresses);
    for found in [vec![], vec![[127, 0, 0, 1]]] {
        *addresses.lock().unwrap() = found;
        assert_eq!(
            text(&client, get()).await.unwrap_err().kind(),
            Kind::Refused
        );
    }
}

/// A connector whose connections are never made.
struct Silent;

impl Connect for Silent {
    fn connect(&self, _: bool) -> BoxFuture<'_, Result<Transport, Error>> {
        pending().boxed()
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_is_not_made_in_time_is_given_up() {
    for url in ["http://app.test", "h2c://app.test"] {
        let client = Client::with_connector(&Arc::new(settings(url)), Silent);
        let begin = tokio::time::Instant::now();
        let failed = text(&client, get()).await.unwrap_err();
        assert_eq!(failed.kind(), Kind::ConnectTimeout);
        assert_eq!(begin.elapsed().as_secs(), 5);
    }
}

/// Starts a server of TLS, and returns its settings with its root in a file.
async fn serve_tls(protocols: &[&[u8]]) -> (Upstream, tempfile::NamedTempFile) {
    let key = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let roots = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(roots.path(), key.cert.pem()).unwrap();
    let chain = vec![key.cert.der().clone()];
    let secret = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.signing_key.serialize_der()));
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, secret)
        .unwrap();
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        loop {
            let (io, _) = listener.accept().await.unwrap();
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                if let Ok(io) = acceptor.accept(io).await {
                    answer(TokioIo::new(io), "encrypted").await;
                }
            });
        }
    });
    let mut settings = settings(&format!("https://localhost:{port}"));
    settings.roots = Some(roots.path().to_owned());
    (settings, roots)
}

async fn asked(settings: Upstream) -> Result<String, Error> {
    text(&Client::new(&Arc::new(settings)).unwrap(), get()).await
}

#[tokio::test]
async fn https_speaks_http2_if_the_settings_and_the_server_say_so() {
    let (mut settings, _roots) = serve_tls(&[b"h2", b"http/1.1"]).await;
    assert_eq!(
        asked(settings.clone()).await.unwrap(),
        "encrypted over HTTP/1.1"
    );
    settings.http2 = true;
    assert_eq!(asked(settings).await.unwrap(), "encrypted over HTTP/2");
    for protocols in [&[b"http/1.1".as_slice()] as &[_], &[]] {
        let (mut settings, _roots) = serve_tls(protocols).await;
        settings.http2 = true;
        assert_eq!(asked(settings).await.unwrap(), "encrypted over HTTP/1.1");
    }
}

#[tokio::test]
async fn a_server_of_http1_serves_many_requests_at_once_although_http2_was_offered() {
    let (mut settings, _roots) = serve_tls(&[b"http/1.1"]).await;
    settings.http2 = true;
    let client = Client::new(&Arc::new(settings)).unwrap();
    for _ in 0..3 {
        let requests = (0..20).map(|_| text(&client, get()));
        for answer in futures_util::future::join_all(requests).await {
            assert_eq!(answer.unwrap(), "encrypted over HTTP/1.1");
        }
    }
}

#[tokio::test]
async fn a_certificate_that_is_not_accepted_and_a_server_without_tls_are_failures_of_tls() {
    let (settings, _roots) = serve_tls(&[]).await;
    let mut other_name = settings.clone();
    other_name.url = settings
        .url
        .to_string()
        .replace("localhost", "127.0.0.1")
        .parse()
        .unwrap();
    assert_eq!(asked(other_name).await.unwrap_err().kind(), Kind::Tls);

    let (mut other_root, _others) = serve_tls(&[]).await;
    other_root.roots = settings.roots.clone();
    assert_eq!(asked(other_root).await.unwrap_err().kind(), Kind::Tls);

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut plain = settings;
    plain.url = format!(
        "https://localhost:{}",
        listener.local_addr().unwrap().port()
    )
    .parse()
    .unwrap();
    tokio::spawn(async move {
        let (mut io, _) = listener.accept().await.unwrap();
        io.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            .await
            .unwrap();
        sleep(Duration::from_secs(5)).await;
    });
    assert_eq!(asked(plain).await.unwrap_err().kind(), Kind::Tls);
}
