//! Calls to a receiver in the process of the test, over TLS.

mod signing;

use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures_util::future::join_all;
use rcgen::{CertifiedKey, KeyPair, generate_simple_self_signed};
use rustls::{
    RootCertStore, ServerConfig,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    time::{Instant, timeout},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tower_async_job::store::JobHandle;

use super::*;
use crate::config::{CallbackHost, Secret};

const HOST: &str = "hooks.example";
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

type Stream = TlsStream<tokio::net::TcpStream>;

/// A receiver on a free port of this machine.
struct Server {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
    /// The requests, as bytes.
    requests: Arc<Mutex<Vec<String>>>,
    certificate: CertifiedKey<KeyPair>,
}

impl Server {
    /// Starts a receiver that answers each request with these bytes, and keeps its connections open.
    async fn answering(answer: impl Into<Vec<u8>>) -> Self {
        let answer: Arc<[u8]> = Arc::from(answer.into());
        Self::with(move |mut stream: Stream| {
            let answer = answer.clone();
            async move {
                let _ = stream.write_all(&answer).await;
                let _ = stream.flush().await;
                // Until the caller closes it.
                let _ = stream.read(&mut [0]).await;
            }
        })
        .await
    }

    async fn with<F, T>(answer: F) -> Self
    where
        F: Fn(Stream) -> T + Clone + Send + Sync + 'static,
        T: Future<Output = ()> + Send + 'static,
    {
        let names = [HOST, "other.example", "127.0.0.1"].map(str::to_owned);
        let certificate = generate_simple_self_signed(names).unwrap();
        let key = PrivatePkcs8KeyDer::from(certificate.signing_key.serialize_der());
        let config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate.cert.der().clone()],
                PrivateKeyDer::from(key),
            );
        let acceptor = TlsAcceptor::from(Arc::new(config.unwrap()));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Self {
            address: listener.local_addr().unwrap(),
            connections: Arc::default(),
            requests: Arc::default(),
            certificate,
        };
        let (connections, requests) = (server.connections.clone(), server.requests.clone());
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                connections.fetch_add(1, Ordering::SeqCst);
                let (acceptor, requests) = (acceptor.clone(), requests.clone());
                let answer = answer.clone();
                tokio::spawn(async move {
                    let Ok(mut stream) = acceptor.accept(stream).await else {
                        return;
                    };
                    let mut read = Vec::new();
                    while !read.ends_with(b"}}") {
                        if stream.read_buf(&mut read).await.unwrap_or(0) == 0 {
                            return;
                        }
                    }
                    let request = String::from_utf8(read).unwrap();
                    requests.lock().unwrap().push(request);
                    answer(stream).await;
                });
            }
        });
        server
    }

    fn url(&self, host: &str) -> String {
        format!("https://{host}:{}/hook?a=1", self.address.port())
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// Returns callbacks to its hosts, whose names have these addresses.
    fn callbacks(&self, allowed: &[&str], addresses: &'static [&'static str]) -> Callbacks {
        self.resolving(allowed, move |port| {
            let addresses = addresses.iter().map(|it| it.parse::<IpAddr>().unwrap());
            addresses.map(|it| SocketAddr::new(it, port)).collect()
        })
    }

    fn resolving(
        &self,
        allowed: &[&str],
        resolve: impl Fn(u16) -> Vec<SocketAddr> + Send + Sync + 'static,
    ) -> Callbacks {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.cert.der().clone()).unwrap();
        let tls = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let resolve: Resolve = Arc::new(move |_, port| {
            let addresses = resolve(port);
            Box::pin(async move { Ok::<_, io::Error>(addresses) })
        });
        let host = |name| CallbackHost {
            secrets: vec![Secret::plain(secret_of(name))],
            ports: vec![443, self.address.port()],
        };
        // A literal is no host of any settings. Here it is, so that the connector itself is tested.
        let names = [
            HOST,
            "other.example",
            "127.0.0.1",
            "[::ffff:127.0.0.1]",
            "0x7f.1",
        ];
        let settings = config::Callbacks {
            hosts: names.map(|name| (name.to_owned(), host(name))).into(),
            allow_networks: allowed.iter().map(|it| it.parse().unwrap()).collect(),
        };
        Callbacks::with(&settings, None, resolve, tls)
    }
}

fn secret_of(host: &str) -> &'static str {
    match host {
        HOST => SECRET,
        _ => "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX",
    }
}

fn notification(url: &str) -> Notification {
    let mut notification = Notification::new(JobHandle::from_bits(0x9f2c), "/work/1");
    notification.target = Bytes::copy_from_slice(url.as_bytes());
    notification
}

/// Calls a URL once.
async fn call(callbacks: &Callbacks, url: &str) -> Notified {
    let called = callbacks.call(notification(url));
    timeout(Duration::from_secs(20), called).await.unwrap()
}

#[track_caller]
fn assert_again(notified: Notified) {
    let Notified::Again(after) = notified else {
        panic!("{notified:?}");
    };
    assert!((5.0..=6.0).contains(&after.as_secs_f64()), "{after:?}");
}

const OK: &str = "HTTP/1.1 204 No Content\r\n\r\n";
const LOCAL: &str = "127.0.0.0/8";

#[tokio::test]
async fn answers_end_the_callback_or_have_it_repeated() {
    for (answer, expected) in [
        (
            "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok",
            Some(Notified::Done),
        ),
        (
            "HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n",
            Some(Notified::Done),
        ),
        (
            "HTTP/1.1 410 Gone\r\ncontent-length: 0\r\n\r\n",
            Some(Notified::Refused),
        ),
        ("HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n", None),
        ("HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n", None),
        ("this is no HTTP\r\n\r\n", None),
    ] {
        let server = Server::answering(answer).await;
        let callbacks = server.callbacks(&[LOCAL], &["127.0.0.1"]);
        let notified = call(&callbacks, &server.url(HOST)).await;
        match expected {
            Some(expected) => assert_eq!(notified, expected, "{answer}"),
            None => assert_again(notified),
        }
        assert_eq!(server.connections(), 1, "{answer}");
    }
}

#[tokio::test]
async fn retry_after_of_the_receiver_is_kept_to() {
    let answer = "HTTP/1.1 503 No\r\nretry-after: 100\r\ncontent-length: 0\r\n\r\n";
    let server = Server::answering(answer).await;
    let callbacks = server.callbacks(&[LOCAL], &["127.0.0.1"]);
    let Notified::Again(after) = call(&callbacks, &server.url(HOST)).await else {
        panic!("not again");
    };
    assert!((100.0..=120.0).contains(&after.as_secs_f64()), "{after:?}");
}

#[tokio::test]
async fn redirect_to_metadata_is_not_followed() {
    for location in [
        "http://169.254.169.254/latest/meta-data/",
        "https://other.example/",
    ] {
        let server = Server::answering(format!(
            "HTTP/1.1 302 Found\r\nlocation: {location}\r\ncontent-length: 0\r\n\r\n"
        ))
        .await;
        let callbacks = server.callbacks(&[LOCAL], &["127.0.0.1"]);
        assert_again(call(&callbacks, &server.url(HOST)).await);
        assert_eq!(server.connections(), 1);
    }
}

#[tokio::test]
async fn connections_are_not_reused() {
    let server = Server::answering("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    let callbacks = server.callbacks(&[LOCAL], &["127.0.0.1"]);
    for calls in 1..=3 {
        assert_eq!(call(&callbacks, &server.url(HOST)).await, Notified::Done);
        assert_eq!(server.connections(), calls);
    }
}

#[tokio::test]
async fn no_more_of_an_answer_is_read_than_its_beginning() {
    let endless = Server::with(|mut stream: Stream| async move {
        let head = b"HTTP/1.1 200 OK\r\ncontent-length: 1000000000\r\n\r\n";
        stream.write_all(head).await.unwrap();
        while stream.write_all(&[b'a'; 1024]).await.is_ok() {}
    })
    .await;
    let callbacks = endless.callbacks(&[LOCAL], &["127.0.0.1"]);
    let begun = Instant::now();
    assert_eq!(call(&callbacks, &endless.url(HOST)).await, Notified::Done);
    assert!(begun.elapsed() < Duration::from_secs(5));
    let mut head = b"HTTP/1.1 200 OK\r\n".to_vec();
    head.extend([b"x: ".as_slice(), &[b'a'; 20_000], b"\r\n\r\n"].concat());
    let server = Server::answering(head).await;
    let callbacks = server.callbacks(&[LOCAL], &["127.0.0.1"]);
    assert_again(call(&callbacks, &server.url(HOST)).await);
}

#[tokio::test]
async fn receiver_without_the_certificate_of_its_host_is_sent_nothing() {
    let server = Server::answering(OK).await;
    let other = Server::answering(OK).await;
    // Trusts the certificate of the other one only.
    let callbacks = other.resolving(&[LOCAL], {
        let address = server.address;
        move |_| vec![address]
    });
    assert_again(call(&callbacks, &other.url(HOST)).await);
    assert_eq!(server.connections(), 1);
    assert_eq!(server.requests.lock().unwrap().len(), 0);
}

#[tokio::test]
async fn special_addresses_are_not_called_whatever_names_them() {
    let server = Server::answering(OK).await;
    let of_names: [&'static [&'static str]; 6] = [
        &["127.0.0.1"],
        &["::1"],
        &["::ffff:127.0.0.1"],
        &["64:ff9b::7f00:1"],
        &["169.254.169.254", "fd00:ec2::254"],
        &[],
    ];
    for addresses in of_names {
        let callbacks = server.callbacks(&["10.9.8.0/24"], addresses);
        for name in [HOST, "other.example", "0x7f.1"] {
            assert_again(call(&callbacks, &server.url(name)).await);
        }
        // Literals, which no resolver sees.
        for literal in ["127.0.0.1", "[::ffff:127.0.0.1]"] {
            assert_again(call(&callbacks, &server.url(literal)).await);
        }
    }
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn system_s_resolver_finds_no_way_around() {
    let server = Server::answering(OK).await;
    let mut callbacks = server.callbacks(&[], &[]);
    callbacks.connector.as_mut().unwrap().resolve = system();
    for name in ["0x7f.1", "127.0.0.1", "[::ffff:127.0.0.1]"] {
        assert_again(call(&callbacks, &server.url(name)).await);
    }
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn name_whose_address_changes_is_called_at_the_one_that_was_checked() {
    let server = Server::answering(OK).await;
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = asked.clone();
    // Allowed at first, as a check before the call would see it, then not.
    let callbacks = server.resolving(&["127.0.0.2/32"], move |port| {
        let address: IpAddr = match counted.fetch_add(1, Ordering::SeqCst) {
            0 => "127.0.0.2".parse().unwrap(),
            _ => "127.0.0.1".parse().unwrap(),
        };
        vec![SocketAddr::new(address, port)]
    });
    for calls in 1..=3 {
        assert_again(call(&callbacks, &server.url(HOST)).await);
        assert_eq!(asked.load(Ordering::SeqCst), calls);
    }
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn special_addresses_among_others_are_left_out() {
    let server = Server::answering(OK).await;
    // Accepts connections, and says nothing.
    let decoy = TcpListener::bind(("127.0.0.2", server.address.port()));
    let decoy = decoy.await.unwrap();
    let callbacks = server.callbacks(&["127.0.0.1/32"], &["127.0.0.2", "127.0.0.1"]);
    assert_eq!(call(&callbacks, &server.url(HOST)).await, Notified::Done);
    let connected = timeout(Duration::ZERO, decoy.accept()).await;
    assert!(connected.is_err(), "the special address was called");
}

#[test]
fn urls_that_may_not_be_called_are_refused() {
    let host = || CallbackHost {
        secrets: vec![Secret::plain(SECRET)],
        ports: vec![443, 8443],
    };
    let settings = config::Callbacks {
        hosts: [(HOST.to_owned(), host())].into(),
        allow_networks: Vec::new(),
    };
    let tls = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth();
    let callbacks = Callbacks::with(&settings, None, system(), tls);
    for url in [
        "https://hooks.example",
        "https://hooks.example/a?b=c#d",
        "https://HOOKS.example:443/",
        "https://hooks.example:8443/",
    ] {
        assert_eq!(callbacks.ask(url), Asked(Ok(Bytes::from(url))), "{url}");
    }
    for (url, reason) in [
        ("", "needs a URL"),
        ("hooks.example", "https://"),
        ("/hook", "https://"),
        ("http://hooks.example/", "https://"),
        ("ftp://hooks.example/", "https://"),
        ("https://", "no URL"),
        ("https://hooks.example/\u{e9} a", "no URL"),
        ("https://me@hooks.example/", "names a user"),
        ("https://me:secret@hooks.example/", "names a user"),
        ("https://hooks.example@127.0.0.1/", "names a user"),
        ("https://hooks.example:80/", "port"),
        ("https://hooks.example:/", "port"),
        ("https://hooks.example.:443/", "host"),
        ("https://a.hooks.example/", "host"),
        ("https://hooks.example.evil/", "host"),
        ("https://evil/?https://hooks.example/", "host"),
        ("https://127.0.0.1/", "host"),
        ("https://0x7f.1/", "host"),
        ("https://2130706433/", "host"),
        ("https://0177.0.0.1/", "host"),
        ("https://[::1]/", "host"),
        ("https://[::ffff:127.0.0.1]/", "host"),
        ("https://[64:ff9b::7f00:1]/", "host"),
        ("https://169.254.169.254/latest/meta-data/", "host"),
        ("https://localhost/", "host"),
    ] {
        let Asked(Err(refusal)) = callbacks.ask(url) else {
            panic!("{url} may be called");
        };
        assert!(refusal.contains(reason), "{url}: {refusal}");
    }
    let long = format!("https://hooks.example/{}", "a".repeat(2100));
    assert!(callbacks.ask(&long).0.is_err());
}

#[tokio::test]
async fn slow_host_has_few_calls_at_once_and_delays_no_other() {
    let slow = Server::with(|stream| async move {
        let _open = stream;
        std::future::pending().await
    })
    .await;
    let callbacks = Arc::new(slow.callbacks(&[LOCAL], &["127.0.0.1"]));
    let calls: Vec<_> = (0..8)
        .map(|_| {
            let (callbacks, url) = (callbacks.clone(), slow.url(HOST));
            tokio::spawn(async move { callbacks.call(notification(&url)).await })
        })
        .collect();
    while slow.requests.lock().unwrap().len() < 8 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let begun = Instant::now();
    let url = slow.url(HOST);
    let put_off = join_all((0..50).map(|_| call(&callbacks, &url))).await;
    for notified in put_off {
        let Notified::Again(after) = notified else {
            panic!("{notified:?}");
        };
        assert!((2.0..=4.0).contains(&after.as_secs_f64()), "{after:?}");
    }
    assert!(begun.elapsed() < Duration::from_secs(1));
    assert_eq!(slow.connections(), 8);
    // Another host has places of its own, also after a reload.
    let other = timeout(
        Duration::from_secs(1),
        callbacks.call(notification(&slow.url("other.example"))),
    );
    assert!(other.await.is_err(), "it is called, and as slow");
    assert_eq!(slow.connections(), 9);
    calls.iter().for_each(|call| call.abort());
}
