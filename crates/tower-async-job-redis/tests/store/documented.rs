//! The commands of `docs/stores.md`, as they stand there.

use std::{env, fs, os::unix::fs::PermissionsExt, process::Command};

use test_services::{Redis, available};
use tower_async_job_core::{JobStore, Start};
use tower_async_job_redis::RedisStore;

use crate::{add, replayable};

#[tokio::test(flavor = "multi_thread")]
async fn documented_commands_show_the_state_of_a_server() {
    let Some(server) = available(Redis::start()) else {
        return;
    };
    let store = RedisStore::connect(&server.url()).await.unwrap();
    let lease = add(&store, replayable(&store)).await;
    store.cancel(&lease.id).await.unwrap();
    // The event of new work has zeros, which make a text a binary file.
    let offered = replayable(&store).with_start(Start::Offered);
    store.create(offered).await.unwrap();

    let document = include_str!("../../../../docs/stores.md");
    let (_, section) = document.split_once("## Redis: monitoring").unwrap();
    let (_, block) = section.split_once("```sh\n").unwrap();
    let commands = block.split("```").next().unwrap();
    // The commands are for a server at the usual port.
    let directory = tempfile::tempdir().unwrap();
    let path = env::var("PATH").unwrap();
    let name = directory.path().join("redis-cli");
    let script = format!(
        "#!/bin/sh\nPATH='{path}' exec redis-cli -e -p {} \"$@\"\n",
        server.port()
    );
    fs::write(&name, script).unwrap();
    fs::set_permissions(&name, fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{path}", directory.path().display());
    let output = Command::new("sh")
        .args(["-euc", commands])
        .env("PATH", path)
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let shown = String::from_utf8(output.stdout).unwrap();
    for found in [
        "used_memory_human:",
        "aof_enabled:1",
        "aof_last_write_status:ok",
        "length",
        "last-generated-id",
    ] {
        assert!(shown.contains(found), "{found}: {shown}");
    }
}
