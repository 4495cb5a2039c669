//! The states that systemd is notified of.

use std::{fs, time::Duration};

use rustix::process::Signal;
use tempfile::TempDir;
use tokio::{net::UnixDatagram, time::timeout};

use crate::support::{Gateway, command, soon};

/// The socket of a service manager.
struct Manager {
    socket: UnixDatagram,
    folder: TempDir,
}

impl Manager {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let socket = UnixDatagram::bind(folder.path().join("notify")).unwrap();
        Self { socket, folder }
    }

    /// Returns the next notification, with the name alone of a time.
    async fn next(&self) -> Vec<String> {
        let mut read = [0; 1024];
        let size = soon(self.socket.recv(&mut read)).await.unwrap();
        let text = String::from_utf8(read[..size].to_vec()).unwrap();
        let name = |line: &str| match line.split_once("_USEC=") {
            Some((name, time)) => {
                assert!(time.parse::<u64>().is_ok_and(|time| time > 0), "{line}");
                format!("{name}_USEC")
            }
            None => line.to_owned(),
        };
        text.lines().map(name).collect()
    }
}

#[tokio::test]
async fn systemd_is_notified_of_each_state() {
    let manager = Manager::new();
    let settings = manager.folder.path().join("gateway.toml");
    let text =
        "drain_delay = \"200ms\"\ngrace = \"1s\"\n[upstreams.app]\nurl = \"http://127.0.0.1:9\"\n";
    fs::write(&settings, text).unwrap();
    let path = settings.to_str().unwrap();
    let mut command = command(["--config", path, "--listen", "127.0.0.1:0"]);
    command.env("NOTIFY_SOCKET", manager.folder.path().join("notify"));
    let mut gateway = Gateway::start(command).await;
    assert_eq!(manager.next().await, ["READY=1", "STATUS=serving clients"]);

    let reloading = [
        "RELOADING=1",
        "MONOTONIC_USEC",
        "STATUS=reading the settings",
    ];
    gateway.signal(Signal::HUP);
    assert_eq!(manager.next().await, reloading);
    let status = "STATUS=serving clients by the settings that were read again";
    assert_eq!(manager.next().await, ["READY=1", status]);
    fs::write(&settings, text.replace("1s", "1")).unwrap();
    gateway.signal(Signal::HUP);
    assert_eq!(manager.next().await, reloading);
    let [ready, status] = &manager.next().await[..] else {
        panic!("two states");
    };
    assert_eq!(ready, "READY=1");
    assert!(
        status.contains("earlier settings") && status.contains("see the log"),
        "{status}"
    );

    gateway.signal(Signal::TERM);
    let status = "STATUS=waiting for running jobs, for at most 1s 200ms";
    assert_eq!(manager.next().await, ["STOPPING=1", status]);
    assert!(gateway.ended().await.success());
}

#[tokio::test]
async fn a_gateway_that_cannot_begin_is_never_ready() {
    let manager = Manager::new();
    let arguments = [
        "--upstream",
        "http://127.0.0.1:9",
        "--store",
        "sqlite:/missing/jobs.db",
    ];
    let mut command = command(arguments);
    command.env("NOTIFY_SOCKET", manager.folder.path().join("notify"));
    assert_eq!(soon(command.status()).await.unwrap().code(), Some(1));
    let mut read = [0; 64];
    let notified = timeout(Duration::from_millis(50), manager.socket.recv(&mut read)).await;
    assert!(notified.is_err(), "{notified:?}");
}
