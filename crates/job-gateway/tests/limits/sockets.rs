//! Unix sockets.

use std::path::Path;

use rustix::process::Signal;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
};

use crate::support::{Gateway, Upstream, command, soon};

const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok";

async fn ask(path: &Path, fields: &str) -> String {
    let mut stream = UnixStream::connect(path).await.unwrap();
    let request = format!("GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n{fields}\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    soon(stream.read_to_string(&mut answer)).await.unwrap();
    answer
}

#[tokio::test]
async fn a_proxy_on_a_socket_is_believed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("gateway.sock");
    let listen = format!("unix:{}", path.display());
    let (upstream, seen) = Upstream::of_bytes(OK).await;
    let gateway = Gateway::before(&upstream.url(), &["--listen", &listen]).await;
    assert_eq!(gateway.listening, [listen]);
    let answer = ask(&path, "x-forwarded-for: 203.0.113.1\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let seen = seen.only();
    assert!(
        seen.contains(&"x-forwarded-for: 203.0.113.1".to_owned()),
        "{seen:?}"
    );
    let forwarded = "forwarded: for=203.0.113.1, for=unknown;host=a;proto=http";
    assert!(seen.contains(&forwarded.to_owned()), "{seen:?}");
}

#[tokio::test]
async fn the_file_of_a_socket_is_removed_and_one_that_is_left_over_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("gateway.sock");
    let listen = format!("unix:{}", path.display());
    let (upstream, _) = Upstream::of_bytes(OK).await;
    let mut killed = Gateway::before(&upstream.url(), &["--listen", &listen]).await;
    killed.signal(Signal::KILL);
    killed.ended().await;
    assert!(path.exists());
    let mut gateway = Gateway::before(&upstream.url(), &["--listen", &listen]).await;
    assert!(ask(&path, "").await.starts_with("HTTP/1.1 200"));

    let url = upstream.url();
    let other = command(["--upstream", &*url, "--listen", &*listen])
        .stderr(std::process::Stdio::piped())
        .output();
    let other = soon(other).await.unwrap();
    let told = String::from_utf8(other.stderr).unwrap();
    assert!(!other.status.success());
    assert!(
        told.contains(&format!("cannot listen on {listen}")),
        "{told}"
    );
    assert!(ask(&path, "").await.starts_with("HTTP/1.1 200"));

    gateway.signal(Signal::TERM);
    gateway.ended().await;
    assert!(!path.exists());
}

#[tokio::test]
async fn a_file_that_is_no_socket_is_not_replaced() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let listen = format!("unix:{}", file.path().display());
    let started = command(["--upstream", "http://127.0.0.1:9", "--listen", &listen]).output();
    assert!(!soon(started).await.unwrap().status.success());
    assert!(file.path().exists());
}
