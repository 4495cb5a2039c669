//! Clients are called back when their jobs have ended.
#![cfg(unix)]

#[path = "../support/mod.rs"]
mod support;

mod delivery;
mod receiver;
mod recipe;
mod reference;

use std::path::Path;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;

use self::{
    receiver::Receiver,
    support::{Gateway, Upstream, command, full},
};

/// The secret that signs, and its predecessor.
const SECRETS: [&str; 2] = [
    "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX",
];

/// Starts a server that answers after a short time with the preferences that it received.
async fn slow() -> Upstream {
    Upstream::of_requests(|request| async move {
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        let prefer = request.headers().get("prefer");
        let prefer = prefer.map_or("none", |prefer| prefer.to_str().unwrap());
        Response::new(full(prefer.to_owned()))
    })
    .await
}

/// Starts a gateway that may call a receiver at addresses of this machine.
async fn start(upstream: &Upstream, receiver: &Receiver, store: &str) -> Gateway {
    start_with(upstream, receiver, store, "[\"127.0.0.0/8\", \"::1/128\"]").await
}

async fn start_with(
    upstream: &Upstream,
    receiver: &Receiver,
    store: &str,
    allowed: &str,
) -> Gateway {
    let port = receiver.address.port();
    start_at(upstream, receiver.folder.path(), port, store, allowed).await
}

/// Starts a gateway that may call a port of this machine, whose certificate is in the folder.
async fn start_at(
    upstream: &Upstream,
    folder: &Path,
    port: u16,
    store: &str,
    allowed: &str,
) -> Gateway {
    let [current, previous] = SECRETS;
    std::fs::write(folder.join("current.secret"), current).unwrap();
    std::fs::write(folder.join("previous.secret"), previous).unwrap();
    let settings = format!(
        "listen = [\"127.0.0.1:0\"]\nadmin = \"127.0.0.1:0\"\nstore = \"{store}\"\n\
        public_base = \"https://api.example/work\"\n[upstreams.app]\nurl = \"{}\"\n\
        [[routes]]\nmatch = \"/called\"\ncallback = true\n\
        [callbacks]\nallow_networks = {allowed}\n[callbacks.hosts.localhost]\n\
        secrets = [{{ file = \"current.secret\" }}, {{ file = \"previous.secret\" }}]\n\
        ports = [{port}]\n",
        upstream.url(),
    );
    let file = folder.join("gateway.toml");
    std::fs::write(&file, settings).unwrap();
    let mut command = command(["--config", file.to_str().unwrap()]);
    command.env("SSL_CERT_FILE", folder.join("receiver.pem"));
    // Calls are made without a proxy, so this one is not missed.
    for name in ["ALL_PROXY", "HTTPS_PROXY", "all_proxy", "https_proxy"] {
        command.env(name, "http://127.0.0.1:9");
    }
    Gateway::start(command).await
}

/// Returns a request that prefers to be called back.
fn asking(gateway: &Gateway, path: &str, preference: &str) -> Request<Full<Bytes>> {
    Request::post(gateway.url(path))
        .header("prefer", preference)
        .body(Full::from("a report"))
        .unwrap()
}
