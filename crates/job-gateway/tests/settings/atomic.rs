//! SIGHUP: the settings and all files that they name are replaced together, or none is.

use std::{fs, time::Duration};

use http::Response;
use rustix::process::Signal;
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::sleep,
};

use crate::{
    support::{Gateway, Upstream, command, full, get, soon, token::keys},
    tls::{connect, pair, write},
};

async fn named(name: &'static str) -> Upstream {
    Upstream::of_requests(move |_| async move { Response::new(full(name)) }).await
}

/// Returns settings in which requests are for one server.
fn settings(which: &Upstream) -> String {
    format!(
        "listen = [\"127.0.0.1:0\"]\nadmin = \"127.0.0.1:0\"\n\
         tls = {{ certificate = \"a.pem\", key = \"a.key\" }}\n\
         [upstreams.which]\nurl = \"{}\"\n\
         [upstreams.secure]\nurl = \"https://127.0.0.1:9\"\nroots = \"roots.pem\"\n\
         [defaults]\nupstream = \"which\"\ndefer = false\n\
         [[routes]]\nmatch = \"/secure\"\nupstream = \"secure\"\n\
         [[routes]]\nmatch = \"/principal\"\n\
         principal.jwt = {{ keys = \"keys.json\", issuer = \"a\", audience = \"b\", \
         algorithms = [\"HS256\"] }}\n",
        which.url()
    )
}

async fn metrics(gateway: &Gateway) -> String {
    get(gateway.operators("/metrics")).await.text().to_owned()
}

/// Waits for the outcome of a reload.
async fn reloaded(gateway: &Gateway, success: u8) {
    gateway.signal(Signal::HUP);
    let gauge = format!("\nconfig_reload_success {success}\n");
    soon(async {
        while !metrics(gateway).await.contains(&gauge) {
            sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn no_setting_is_replaced_while_a_file_of_one_cannot_be_used() {
    let folder = TempDir::new().unwrap();
    let certificate = pair();
    write(&folder, &certificate);
    let file = |name: &str| folder.path().join(name);
    fs::write(file("roots.pem"), certificate.cert.pem()).unwrap();
    fs::write(file("keys.json"), keys(7)).unwrap();
    let servers = [named("first").await, named("second").await];
    fs::write(file("gateway.toml"), settings(&servers[0])).unwrap();
    let mut starting = command(["--config", file("gateway.toml").to_str().unwrap()]);
    starting.stderr(fs::File::create(file("log")).unwrap());
    let gateway = Gateway::start(starting).await;
    let which = async || {
        let mut stream = connect(&gateway, &certificate, "http/1.1").await.unwrap();
        let request = b"GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
        stream.write_all(request).await.unwrap();
        let mut answer = Vec::new();
        // The peer may close the connection without an end of TLS.
        let _ = soon(stream.read_to_end(&mut answer)).await;
        let answer = String::from_utf8(answer).unwrap();
        answer.rsplit("\r\n").next().unwrap().to_owned()
    };
    assert_eq!(which().await, "first");
    let names = ["first", "second"];
    for (number, (name, unusable)) in [
        ("a.key", pair().signing_key.serialize_pem()),
        ("a.pem", "no certificate".to_owned()),
        ("roots.pem", "no certificate".to_owned()),
        ("keys.json", "{\"keys\": []}".to_owned()),
    ]
    .into_iter()
    .enumerate()
    {
        let (before, after) = (number % 2, (number + 1) % 2);
        let usable = fs::read(file(name)).unwrap();
        let logged = fs::read_to_string(file("log")).unwrap().len();
        fs::write(file("gateway.toml"), settings(&servers[after])).unwrap();
        fs::write(file(name), unusable).unwrap();
        reloaded(&gateway, 0).await;
        assert_eq!(which().await, names[before], "{name}");
        let log = fs::read_to_string(file("log")).unwrap().split_off(logged);
        assert!(log.contains(name), "{name}: {log}");
        // Once the file is mended, all are replaced.
        fs::write(file(name), usable).unwrap();
        reloaded(&gateway, 1).await;
        assert_eq!(which().await, names[after], "{name}");
    }
}
