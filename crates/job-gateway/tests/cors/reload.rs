//! SIGHUP: the origins of today count, also for jobs of yesterday.

use std::{fs, time::Duration};

use http::StatusCode;
use rustix::process::Signal;
use tokio::time::sleep;

use crate::{
    page::{APP, assert_readable, assert_unreadable, fetch, may_read},
    server::server,
    support::{Gateway, soon},
};

#[tokio::test]
async fn a_reload_replaces_the_origins() {
    const LATER: &str = "https://later.example";
    let (upstream, _received) = server().await;
    let settings = |origin: &str| {
        format!(
            "[upstreams.app]\nurl = \"{}\"\n[defaults]\ninline_wait = \"0s\"\n\
             cors.origins = [\"{origin}\"]\n",
            upstream.url()
        )
    };
    let gateway = Gateway::with(&settings(APP)).await;
    let pending = fetch(&gateway, APP, "POST /slow", &[]).await;
    let job = format!("GET {}", pending.header("location"));
    assert_unreadable(&fetch(&gateway, LATER, &job, &[]).await);

    fs::write(gateway.settings.as_ref().unwrap(), settings(LATER)).unwrap();
    gateway.signal(Signal::HUP);
    let replaced = async {
        while !may_read(&fetch(&gateway, LATER, "HEAD /", &[]).await, LATER) {
            sleep(Duration::from_millis(10)).await;
        }
    };
    soon(replaced).await;
    assert_unreadable(&fetch(&gateway, APP, "HEAD /", &[]).await);
    sleep(Duration::from_millis(500)).await;
    let done = fetch(&gateway, LATER, &job, &[]).await;
    assert_eq!(done.status, StatusCode::OK);
    assert_readable(&done, LATER);
    assert_unreadable(&fetch(&gateway, APP, &job, &[]).await);
}
