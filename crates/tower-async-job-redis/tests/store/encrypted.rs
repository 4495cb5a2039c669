//! Connections with TLS.

use std::fs;

use test_services::{Redis, available};
use tower_async_job_redis::RedisStore;

use crate::{add, is_known, job};

#[tokio::test(flavor = "multi_thread")]
async fn a_server_with_a_certificate_of_a_named_authority_is_used() {
    let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let [certificate, key] = ["certificate.pem", "key.pem"].map(|name| folder.path().join(name));
    let pem = certified.cert.pem();
    fs::write(&certificate, &pem).unwrap();
    fs::write(&key, certified.signing_key.serialize_pem()).unwrap();
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    let server = Redis::builder()
        .setting("tls-port", &port.to_string())
        .setting("tls-cert-file", certificate.to_str().unwrap())
        .setting("tls-key-file", key.to_str().unwrap())
        .setting("tls-auth-clients", "no")
        .start();
    let Some(_server) = available(server) else {
        return;
    };
    let url = format!("rediss://localhost:{port}");
    let refused = RedisStore::connect(&url).await.unwrap_err();
    assert!(
        refused.is_unreachable(),
        "its authority is not trusted: {refused}"
    );
    let store = RedisStore::builder([&url]).root_certificate(pem);
    let store = store.connect().await.unwrap();
    let lease = add(&store, job(&store)).await;
    assert!(is_known(&store, &lease.id).await);
}
