//! The receivers of callbacks in `docs/recipes.md`.

use std::process::Stdio;

use rcgen::generate_simple_self_signed;
use rustix::process::{Pid, Signal, kill_process_group};
use test_services::{Missing, available, installed, recipe, recipes};
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    net::TcpListener,
    process::{ChildStdout, Command},
};

use crate::{
    SECRETS, asking, slow, start_at,
    support::{send, soon},
};

/// The program that runs a recipe, or the reason that it cannot be run.
fn interpreter(name: &str) -> Result<Command, Missing> {
    installed("curl")?;
    if name == "Callbacks: openssl" {
        installed("openssl")?;
        return Ok(Command::new(installed("bash")?));
    }
    Ok(Command::new(installed("python3")?))
}

/// Has curl send a callback that is signed by another secret, once the receiver listens.
async fn forge(port: u16) -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let timestamp = format!("webhook-timestamp: {}", now.unwrap().as_secs());
    let output = Command::new("curl")
        .args(["-q", "-sk", "--noproxy", "*", "-m", "20", "-o", "/dev/null"])
        .args(["--retry", "20", "--retry-connrefused", "--retry-delay", "1"])
        .args(["-w", "%{http_code}", "-H", "webhook-id: job_1"])
        .args(["-H", &timestamp, "-H", "webhook-signature: v1,AAAA v1,"])
        .args(["-d", "{\"type\":\"job.done\"}"])
        .arg(format!("https://localhost:{port}/hook"))
        .output()
        .await;
    String::from_utf8(output.unwrap().stdout).unwrap()
}

/// Returns the next line that is a callback.
async fn callback(lines: &mut Lines<BufReader<ChildStdout>>) -> serde_json::Value {
    soon(async {
        loop {
            let line = lines.next_line().await.unwrap().expect("it runs");
            if let Ok(callback) = serde_json::from_str(&line) {
                return callback;
            }
        }
    })
    .await
}

/// Runs a recipe, which refuses what is forged and prints what the gateway sends.
async fn receives(name: &str) {
    let Some(mut command) = available(interpreter(name)) else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let path = |file: &str| folder.path().join(file);
    let pair = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(path("receiver.pem"), pair.cert.pem()).unwrap();
    std::fs::write(path("receiver.key"), pair.signing_key.serialize_pem()).unwrap();
    std::fs::write(path("recipe"), recipe(name)).unwrap();
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    let mut receiver = command
        .args([path("recipe").as_os_str(), port.to_string().as_ref()])
        .args([path("receiver.pem"), path("receiver.key")])
        .env("SECRET", SECRETS[1])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(receiver.stdout.take().unwrap()).lines();
    assert_eq!(forge(port).await, "401");
    let upstream = slow().await;
    let networks = "[\"127.0.0.0/8\", \"::1/128\"]";
    let gateway = start_at(&upstream, folder.path(), port, "memory", networks).await;
    let preference = format!("respond-async, callback; url=\"https://localhost:{port}/hook\"");
    send(asking(&gateway, "/called", &preference)).await;
    let received = callback(&mut lines).await;
    assert_eq!(received["data"]["state"], "done", "{received}");
    // The server that bash has started ends with it.
    let group = receiver
        .id()
        .and_then(|id| Pid::from_raw(id.try_into().unwrap()));
    kill_process_group(group.unwrap(), Signal::KILL).unwrap();
}

#[tokio::test]
async fn callback_is_received_by_the_recipe_of_openssl() {
    receives("Callbacks: openssl").await;
}

#[tokio::test]
async fn callback_is_received_by_the_recipe_of_python() {
    receives("Callbacks: Python").await;
}

#[test]
fn all_receivers_of_the_recipes_are_run() {
    let all = recipes().into_iter();
    let ours: Vec<_> = all.filter(|name| name.starts_with("Callbacks: ")).collect();
    assert_eq!(ours, ["Callbacks: openssl", "Callbacks: Python"]);
}
