//! Settings of servers that lose jobs.

use test_services::{Redis, available};
use tower_async_job_core::{ClaimQuery, JobQuery, JobStore, Release, Start, SweepQuery};
use tower_async_job_redis::RedisStore;

use crate::{builder, replayable, shared};

async fn refused(setting: &str, value: &str) -> Option<tower_async_job_redis::ConnectError> {
    let server = available(Redis::builder().setting(setting, value).start())?;
    Some(builder(&server).connect().await.unwrap_err())
}

#[tokio::test]
async fn s21_an_evicting_server_is_refused_with_the_remedy() {
    let Some(error) = refused("maxmemory-policy", "allkeys-lru").await else {
        return;
    };
    assert!(error.is_evicting());
    let text = error.to_string();
    assert!(
        text.contains("allkeys-lru") && text.contains("noeviction"),
        "{text}"
    );
}

#[tokio::test]
async fn a_server_that_does_not_flush_is_refused_unless_loss_is_accepted() {
    for (setting, value) in [("appendonly", "no"), ("appendfsync", "everysec")] {
        let Some(error) = refused(setting, value).await else {
            return;
        };
        assert!(error.is_not_durable(), "{error}");
        assert!(error.to_string().contains(setting), "{error}");
        let server = Redis::builder().setting(setting, value).start().unwrap();
        builder(&server).accept_loss(true).connect().await.unwrap();
    }
}

#[tokio::test]
async fn a_replica_is_refused() {
    let Some(master) = shared() else {
        return;
    };
    let replica = Redis::start().unwrap();
    let port = master.port().to_string();
    replica.command(&["REPLICAOF", "127.0.0.1", &port]);
    let error = builder(&replica).connect().await.unwrap_err();
    assert!(error.is_read_only(), "{error}");
}

#[tokio::test]
async fn a_server_that_hides_its_settings_is_used() {
    let Some(server) = shared() else {
        return;
    };
    server.command(&[
        "ACL",
        "SETUSER",
        "managed",
        "on",
        ">secret",
        "~{managed:*",
        "+@all",
        "-config",
        "-info",
    ]);
    let url = server.url().replace("redis://", "redis://managed:secret@");
    let store = RedisStore::builder([url.clone()]).prefix("managed");
    store.connect().await.unwrap();
    let wrong = url.replace("secret", "wrong");
    let error = RedisStore::connect(wrong).await.unwrap_err();
    assert!(error.is_permission_denied(), "{error}");
    assert!(!format!("{error} {error:?}").contains("wrong"), "{error:?}");
    let named = format!("`127.0.0.1:{}`", server.port());
    assert!(error.to_string().contains(&named), "{error}");
    assert!(format!("{error:?}").contains(&named), "{error:?}");
}

#[tokio::test]
async fn a_user_without_a_command_or_the_keys_is_refused_by_name() {
    let Some(server) = shared() else {
        return;
    };
    for (user, rule, named) in [
        ("unsorted", "~* +@all -zadd", "`ZADD`"),
        ("elsewhere", "~other:* +@all", "`{jobs:events}`"),
        ("unscripted", "~* +@all -eval", "a command"),
    ] {
        let mut words = vec!["ACL", "SETUSER", user, "on", ">secret"];
        words.extend(rule.split(' '));
        server.command(&words);
        let login = format!("redis://{user}:secret@");
        let url = server.url().replace("redis://", &login);
        let error = RedisStore::connect(url).await.unwrap_err();
        assert!(error.is_permission_denied(), "{error}");
        assert!(error.to_string().contains(named), "{error}");
    }
    let error = RedisStore::connect(format!("{}/99", server.url()))
        .await
        .unwrap_err();
    assert!(
        !error.is_unreachable() && !error.is_permission_denied(),
        "{error}"
    );
}

#[test]
fn every_command_of_the_scripts_is_checked() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/lua");
    let checked = std::fs::read_to_string(format!("{folder}/permissions.lua")).unwrap();
    let checked: Vec<_> = checked.split(|c: char| !c.is_ascii_uppercase()).collect();
    for file in std::fs::read_dir(folder).unwrap() {
        let script = std::fs::read_to_string(file.unwrap().path()).unwrap();
        for call in script.split("call('").skip(1) {
            let (command, _) = call.split_once('\'').unwrap();
            assert!(checked.contains(&command), "{command}");
        }
    }
}

#[tokio::test]
async fn a_malformed_address_is_refused() {
    let error = RedisStore::connect("jobs").await.unwrap_err();
    assert!(error.is_invalid_address(), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_documented_permissions_are_enough() {
    let Some(server) = available(Redis::start()) else {
        return;
    };
    let readme = include_str!("../../README.md");
    let line = readme.lines().find(|line| line.starts_with("ACL SETUSER"));
    let words: Vec<_> = line.unwrap().split_whitespace().collect();
    // Commands that only later versions have.
    let known = words.into_iter().filter(|word| *word != "+waitaof");
    server.command(&known.collect::<Vec<_>>());
    let url = server.url().replace("redis://", "redis://jobs:PASSWORD@");
    let store = RedisStore::builder([url])
        .replicas(0)
        .connect()
        .await
        .unwrap();
    let other = replayable(&store).with_start(Start::Offered);
    let id = other.id;
    store.create(other).await.unwrap();
    let ended = store.subscribe(&id);
    let claims = store.claim(&ClaimQuery::new(1)).await.unwrap();
    let lease = claims.jobs[0].lease;
    assert!(store.renew(&[lease]).await.unwrap()[0].is_held());
    store.write_chunk(&lease, 0, "chunk".into()).await.unwrap();
    store.release(&[lease], Release::default()).await.unwrap();
    store.cancel(&id).await.unwrap();
    ended.await;
    store.remove(&id).await.unwrap();
    store.sweep(&SweepQuery::default()).await.unwrap();
    store.list(&JobQuery::default()).await.unwrap();
    let log = server.command(&["ACL", "LOG"]);
    assert_eq!(log.trim(), "", "commands were refused");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_without_a_necessary_permission_is_refused() {
    let Some(server) = available(Redis::start()) else {
        return;
    };
    for (user, rules) in [
        ("scripts", ["~{jobs:*", "+@all", "-@scripting"]),
        ("keys", ["~other:*", "+@all", "+info"]),
        ("hashes", ["~{jobs:*", "+@all", "-@hash"]),
        ("sets", ["~{jobs:*", "+@all", "-@sortedset"]),
        ("streams", ["~{jobs:*", "+@all", "-xadd"]),
        ("deletions", ["~{jobs:*", "+@all", "-unlink"]),
        ("times", ["~{jobs:*", "+@all", "-time"]),
        ("writes", ["%R~{jobs:*", "+@all", "+info"]),
    ] {
        let command = ["ACL", "SETUSER", user, "on", ">secret"];
        server.command(&[&command[..], &rules].concat());
        let url = format!("redis://{user}:secret@{}", server.address());
        let error = RedisStore::connect(url).await.unwrap_err();
        assert!(error.is_permission_denied(), "{user}: {error}");
    }
}
