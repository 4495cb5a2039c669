//! The proxy that tests let fail.

use std::{io::ErrorKind, time::Duration};

use test_services::Proxy;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy},
    net::{TcpListener, TcpStream},
    time::{Instant, timeout},
};

/// The time after which a link counts as dead.
const DEAD: Duration = Duration::from_millis(100);

/// A proxy before a server that sends back what it receives.
async fn echoing() -> Proxy {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut from, mut to) = stream.split();
                let _ = copy(&mut from, &mut to).await;
                let _ = to.shutdown().await;
            });
        }
    });
    Proxy::start(address).await
}

async fn connect(proxy: &Proxy) -> TcpStream {
    TcpStream::connect(proxy.address()).await.unwrap()
}

async fn echo(stream: &mut TcpStream, text: &str) {
    stream.write_all(text.as_bytes()).await.unwrap();
    assert_eq!(read(stream, text.len()).await, text);
}

async fn read(stream: &mut TcpStream, length: usize) -> String {
    let mut text = vec![0; length];
    stream.read_exact(&mut text).await.unwrap();
    String::from_utf8(text).unwrap()
}

#[tokio::test]
async fn whole_links_carry_bytes_and_ends_and_count_them() {
    let proxy = echoing().await;
    let mut stream = connect(&proxy).await;
    echo(&mut stream, "hello").await;
    let large = vec![b'a'; 1 << 20];
    let (mut from, mut to) = stream.split();
    let mut received = Vec::new();
    let send = async {
        to.write_all(&large).await?;
        to.shutdown().await
    };
    tokio::try_join!(send, from.read_to_end(&mut received)).unwrap();
    assert_eq!(received, large);
    assert_eq!(proxy.connections(), 1);
    assert_eq!(proxy.bytes_sent(), 5 + (1 << 20));
    assert_eq!(proxy.bytes_received(), 5 + (1 << 20));
}

#[tokio::test]
async fn cut_links_reset_and_refuse_until_they_are_healed() {
    let proxy = echoing().await;
    let mut stream = connect(&proxy).await;
    echo(&mut stream, "before").await;
    proxy.cut().await;
    let error = stream.read_u8().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    let error = TcpStream::connect(proxy.address()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    proxy.heal().await;
    echo(&mut connect(&proxy).await, "after").await;
}

#[tokio::test]
async fn half_open_links_carry_nothing_until_they_are_healed() {
    let proxy = echoing().await;
    let mut before = connect(&proxy).await;
    echo(&mut before, "before").await;
    proxy.half_open();
    let mut during = connect(&proxy).await;
    for stream in [&mut before, &mut during] {
        stream.write_all(b"during").await.unwrap();
        timeout(DEAD, stream.read_u8()).await.unwrap_err();
    }
    assert_eq!(proxy.bytes_sent(), 6);
    proxy.heal().await;
    for stream in [&mut before, &mut during] {
        assert_eq!(read(stream, 6).await, "during");
    }
}

#[tokio::test]
async fn half_open_links_hide_ends() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = Proxy::start(listener.local_addr().unwrap()).await;
    let mut client = connect(&proxy).await;
    let (server, _) = listener.accept().await.unwrap();
    proxy.half_open();
    drop(server);
    timeout(DEAD, client.read_u8()).await.unwrap_err();
    proxy.heal().await;
    client.read_u8().await.unwrap_err();
}

#[tokio::test]
async fn slow_links_delay_each_direction() {
    let proxy = echoing().await;
    let mut stream = connect(&proxy).await;
    proxy.delay(Duration::from_millis(50));
    let begun = Instant::now();
    echo(&mut stream, "slow").await;
    assert!(begun.elapsed() >= Duration::from_millis(100));
}

#[tokio::test]
async fn ends_of_servers_reach_clients() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = Proxy::start(listener.local_addr().unwrap()).await;
    drop(listener);
    let error = connect(&proxy).await.read_u8().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
}
