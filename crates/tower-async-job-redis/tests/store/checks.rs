//! Settings of servers that lose jobs.

use std::time::{Duration, Instant};

use test_services::{Redis, RedisCluster, available};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tower_async_job_core::{ClaimQuery, JobQuery, JobStore, Release, Start, SweepQuery};
use tower_async_job_redis::{RedisStore, RedisStoreBuilder};

use crate::{builder, is_known, replayable, shared};

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
}

#[test]
fn every_command_of_the_scripts_is_checked() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/lua");
    let checked = std::fs::read_to_string(format!("{folder}/permissions.lua")).unwrap();
    let checked: Vec<_> = checked.split(|c: char| !c.is_ascii_uppercase()).collect();
    for file in std::fs::read_dir(folder).unwrap() {
        let script = std::fs::read_to_string(file.unwrap().path()).unwrap();
        for call in script.split("call('").skip(1) {
            let (command, rest) = call.split_once('\'').unwrap();
            assert!(checked.contains(&command), "{command}");
            // Its key is one of those that are declared: a name, not a text that a script makes.
            let key = rest.trim_start_matches([',', ' ']);
            let name = key.split([',', ')']).next().unwrap();
            let is_name = |c: char| c.is_alphanumeric() || "_[]() +".contains(c);
            assert!(name.chars().all(is_name), "{command} {name}");
        }
    }
}

#[tokio::test]
async fn a_numbered_database_is_used_if_it_exists() {
    let Some(server) = available(Redis::start()) else {
        return;
    };
    let store = RedisStore::connect(format!("{}/7", server.url())).await;
    let store = store.unwrap();
    let other = replayable(&store);
    let id = other.id;
    store.create(other).await.unwrap();
    server.command(&["CLIENT", "KILL", "TYPE", "normal"]);
    assert!(is_known(&store, &id).await);
    assert_eq!(server.command(&["DBSIZE"]), "0");
    assert_ne!(server.command(&["-n", "7", "DBSIZE"]), "0");
    let refused = RedisStore::connect(format!("{}/99", server.url())).await;
    let refused = refused.unwrap_err();
    assert!(refused.is_invalid_address(), "{refused}");
    assert!(refused.to_string().contains("`databases`"), "{refused}");
}

/// Answers every command in this way.
async fn answer_always(answer: &'static str) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("redis://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut data = [0; 4096];
                while let Ok(len @ 1..) = client.read(&mut data).await {
                    let commands = data[..len].iter().filter(|byte| **byte == b'*').count();
                    let answers = answer.repeat(commands);
                    client.write_all(answers.as_bytes()).await.unwrap();
                }
            });
        }
    });
    url
}

#[tokio::test]
async fn a_server_that_loads_its_data_is_awaited_and_named() {
    let url = answer_always("-LOADING Redis is loading the dataset in memory\r\n").await;
    let store = RedisStore::builder([url]).operation_timeout(Duration::from_millis(300));
    let began = Instant::now();
    let error = store.connect().await.unwrap_err();
    assert!(began.elapsed() >= Duration::from_millis(300));
    assert!(error.is_unreachable(), "{error}");
    assert!(error.to_string().contains("loads its data"), "{error}");
}

#[tokio::test]
async fn a_malformed_address_is_refused() {
    let error = RedisStore::connect("jobs").await.unwrap_err();
    assert!(error.is_invalid_address(), "{error}");
}

/// Creates the documented user on these servers, all of which know these commands or not.
fn document_user(servers: &[&Redis], without: &[&str]) {
    let readme = include_str!("../../README.md");
    let line = readme.lines().find(|line| line.starts_with("ACL SETUSER"));
    let words = line.unwrap().split_whitespace();
    let words: Vec<_> = words.filter(|word| !without.contains(word)).collect();
    for server in servers {
        server.command(&words);
    }
}

/// Uses all methods as the documented user, who is refused nothing.
async fn use_as_documented_user(
    urls: Vec<String>,
    servers: &[&Redis],
    set: impl FnOnce(RedisStoreBuilder) -> RedisStoreBuilder,
) {
    let login = |url: &String| url.replace("redis://", "redis://jobs:PASSWORD@");
    let builder = RedisStore::builder(urls.iter().map(login));
    let store = set(builder).connect().await.unwrap();
    let other = replayable(&store).with_start(Start::Offered);
    let id = other.id;
    store.create(other).await.unwrap();
    let ended = store.subscribe(&id);
    let claims = store.claim(&ClaimQuery::new(1)).await.unwrap();
    let lease = claims.jobs[0].lease;
    assert!(store.renew(&[lease]).await.unwrap()[0].is_held());
    store.write_chunk(&lease, 0, "chunk".into()).await.unwrap();
    store.release(&[lease], Release::default()).await.unwrap();
    assert!(is_known(&store, &id).await);
    store.cancel(&id).await.unwrap();
    ended.await;
    store.remove(&id).await.unwrap();
    store.sweep(&SweepQuery::default()).await.unwrap();
    store.list(&JobQuery::default()).await.unwrap();
    for server in servers {
        let log = server.command(&["ACL", "LOG"]);
        assert_eq!(log.trim(), "", "commands were refused");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_documented_permissions_are_enough() {
    let Some(server) = available(Redis::start()) else {
        return;
    };
    // Commands that only later versions have.
    document_user(&[&server], &["+waitaof"]);
    use_as_documented_user(vec![server.url()], &[&server], |builder| builder).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_documented_permissions_are_enough_for_confirmations() {
    let server = Redis::builder().valkey().setting("appendfsync", "everysec");
    let Some(server) = available(server.start()) else {
        return;
    };
    document_user(&[&server], &[]);
    use_as_documented_user(vec![server.url()], &[&server], |builder| builder).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_documented_permissions_are_enough_in_a_cluster() {
    let Some(cluster) = available(RedisCluster::start()) else {
        return;
    };
    let shards = [0, 1, 2];
    let masters = shards.map(|shard| cluster.master(shard));
    document_user(&masters, &["+waitaof"]);
    document_user(&shards.map(|shard| cluster.replica(shard)), &["+waitaof"]);
    use_as_documented_user(cluster.urls(), &masters, |builder| builder.replicas(1)).await;
    // Each master has users of its own.
    for master in masters {
        master.command(&["ACL", "SETUSER", "jobs", "-wait"]);
        let login = |url: String| url.replace("redis://", "redis://jobs:PASSWORD@");
        let urls = cluster.urls().into_iter().map(login);
        let refused = RedisStore::builder(urls).replicas(1).connect().await;
        let refused = refused.unwrap_err();
        assert!(refused.to_string().contains("`WAIT`"), "{refused}");
        master.command(&["ACL", "SETUSER", "jobs", "+wait"]);
    }
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
