//! Sockets that systemd passes on.

use std::{net::TcpListener, os::fd::OwnedFd, process::Stdio};

use rustix::process::Signal;
use test_services::{available, installed};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpStream, UnixStream},
    process::Command,
};

use crate::support::{Gateway, Upstream, soon};

const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok";
const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";

/// Starts a gateway to which this listener is passed on, as systemd does it.
async fn start(listener: &TcpListener, upstream: &Upstream) -> Gateway {
    let script = "exec 3<&0 0</dev/null; LISTEN_PID=$$ LISTEN_FDS=1 exec \"$@\"";
    let mut command = Command::new("sh");
    command.args(["-c", script, "sh", env!("CARGO_BIN_EXE_job-gateway")]);
    command.args(["--listen", "systemd", "--upstream", &upstream.url()]);
    let passed: OwnedFd = listener.try_clone().unwrap().into();
    command
        .stdin(Stdio::from(passed))
        .stderr(Stdio::null())
        .kill_on_drop(true);
    Gateway::start(command).await
}

#[tokio::test]
async fn clients_who_connect_during_a_restart_are_served_by_the_next_gateway() {
    let (upstream, _) = Upstream::of_bytes(OK).await;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let mut first = start(&listener, &upstream).await;
    assert_eq!(first.listening, [format!("http://{address}")]);
    first.signal(Signal::TERM);
    assert!(first.ended().await.success());

    let mut client = TcpStream::connect(address).await.unwrap();
    client.write_all(REQUEST).await.unwrap();
    let _second = start(&listener, &upstream).await;
    let mut answer = String::new();
    soon(client.read_to_string(&mut answer)).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[tokio::test]
async fn a_socket_of_a_socket_unit_starts_the_gateway_with_its_first_client() {
    let Some(activate) = available(installed("systemd-socket-activate")) else {
        return;
    };
    let (upstream, _) = Upstream::of_bytes(OK).await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("gateway.sock");
    let mut command = Command::new(activate);
    command
        .arg("--listen")
        .arg(&path)
        .arg(env!("CARGO_BIN_EXE_job-gateway"));
    command.args(["--listen", "systemd", "--upstream", &upstream.url()]);
    command
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true);
    let mut process = command.spawn().unwrap();
    let connected = async {
        loop {
            match UnixStream::connect(&path).await {
                Ok(stream) => return stream,
                Err(_) => tokio::time::sleep(std::time::Duration::from_millis(10)).await,
            }
        }
    };
    let mut client = soon(connected).await;
    client.write_all(REQUEST).await.unwrap();
    let mut answer = String::new();
    soon(client.read_to_string(&mut answer)).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    process.kill().await.unwrap();
    assert!(path.exists(), "the socket is systemd's");
}

#[tokio::test]
async fn a_gateway_without_the_socket_says_so() {
    let arguments = ["--listen", "systemd", "--upstream", "http://127.0.0.1:9"];
    let mut command = crate::support::command(arguments);
    let done = soon(command.stderr(Stdio::piped()).output()).await.unwrap();
    let told = String::from_utf8(done.stderr).unwrap();
    assert_eq!(done.status.code(), Some(1));
    let expected = "job-gateway: cannot listen on systemd: systemd has passed on no socket: the unit needs \
        a socket unit beside it\n";
    assert_eq!(told, expected);
}
