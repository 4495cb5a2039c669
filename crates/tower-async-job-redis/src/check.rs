//! The check of a server's settings.

use std::{collections::HashMap, time::Duration};

use redis::{Cmd, FromRedisValue, RedisError};
use tokio::time::timeout;

use crate::{
    error::ConnectError,
    keys::Keys,
    link::{Connection, Target},
};

/// A script that finds a necessary command that the user may not run.
const PERMISSIONS: &str = include_str!("lua/permissions.lua");

/// The expectations of the builder.
#[derive(Debug)]
pub(crate) struct Wish {
    pub(crate) is_cluster: Option<bool>,
    pub(crate) accepts_loss: bool,
}

/// The result of the check.
#[derive(Debug)]
pub(crate) struct Findings {
    pub(crate) is_cluster: bool,
    /// True if the server flushes later, and has to be asked whether it did.
    pub(crate) has_to_ask: bool,
}

/// Checks that a server keeps what it acknowledges.
pub(crate) async fn check(
    target: &Target,
    wish: &Wish,
    limit: Duration,
) -> Result<Findings, ConnectError> {
    let late = |_| Err(ConnectError::unreachable());
    timeout(limit, examine(target, wish, limit))
        .await
        .unwrap_or_else(late)
}

async fn examine(target: &Target, wish: &Wish, limit: Duration) -> Result<Findings, ConnectError> {
    let mut connection = target.connect(limit).await.map_err(ConnectError::of)?;
    ask::<()>(&mut connection, redis::cmd("PING"))
        .await
        .map_err(ConnectError::of)?;
    let info = Info::read(&mut connection).await;
    let is_cluster = wish
        .is_cluster
        .unwrap_or(info.get("cluster_enabled") == Some("1"));
    let version = info.version();
    if let Some(version) = version
        && version < (7, 0)
    {
        return Err(ConnectError::outdated(format!(
            "{}.{}",
            version.0, version.1
        )));
    }
    // Commands are routed to the masters of a cluster.
    if !is_cluster && info.get("role") == Some("slave") {
        return Err(ConnectError::read_only());
    }
    let policy = setting(&mut connection, &info, "maxmemory-policy").await;
    match policy {
        Some(policy) if policy != "noeviction" => return Err(ConnectError::evicts(policy)),
        _ => {}
    }
    let file = match info.get("aof_enabled") {
        Some(enabled) => Some(enabled == "1"),
        None => {
            let file = setting(&mut connection, &info, "appendonly").await;
            file.map(|file| file == "yes")
        }
    };
    let flushes = setting(&mut connection, &info, "appendfsync").await;
    let mut has_to_ask = false;
    if !wish.accepts_loss {
        if file == Some(false) {
            return Err(ConnectError::not_durable("`appendonly` is `no`"));
        }
        match flushes.as_deref() {
            Some("always") => {}
            // The server then tells when it has flushed.
            Some("everysec") if version >= Some((7, 2)) => has_to_ask = true,
            Some(other) => {
                return Err(ConnectError::not_durable(format!(
                    "`appendfsync` is `{other}`"
                )));
            }
            None => {}
        }
    }
    let unknown: Vec<_> = [
        ("maxmemory-policy", info.get("maxmemory_policy").is_none()),
        ("appendonly", file.is_none()),
        ("appendfsync", flushes.is_none()),
    ]
    .into_iter()
    .filter_map(|(name, is_unknown)| is_unknown.then_some(name))
    .collect();
    if !unknown.is_empty() {
        tracing::warn!(
            settings = unknown.join(", "),
            "settings of the Redis server could not be checked, since it refuses `CONFIG GET`: make \
             sure that `maxmemory-policy` is `noeviction`, and that it keeps what it acknowledges"
        );
    }
    Ok(Findings {
        is_cluster,
        has_to_ask,
    })
}

/// Checks that the user may run the necessary commands on the keys of the store.
pub(crate) async fn check_permissions(
    target: &Target,
    keys: &Keys,
    limit: Duration,
) -> Result<(), ConnectError> {
    let asking = async {
        let mut connection = target.connect(limit).await?;
        let mut command = redis::cmd("EVAL");
        command.arg(PERMISSIONS).arg(0).arg(keys.events());
        ask::<String>(&mut connection, command).await
    };
    let error = match timeout(limit, asking).await {
        Ok(Ok(command)) if !command.is_empty() => ConnectError::denied(command, &keys.events()),
        Ok(Err(error)) => ConnectError::of(error),
        _ => return Ok(()),
    };
    // A server that cannot tell is used.
    match error.is_permission_denied() {
        true => Err(error),
        false => Ok(()),
    }
}

/// The answer to `INFO`, empty if it is refused.
struct Info(HashMap<String, String>);

impl Info {
    async fn read(connection: &mut Connection) -> Self {
        let text: Result<String, _> = ask(connection, redis::cmd("INFO")).await;
        let text = text.unwrap_or_default();
        let pairs = text.lines().filter_map(|line| line.split_once(':'));
        Self(
            pairs
                .map(|(name, value)| (name.into(), value.trim().into()))
                .collect(),
        )
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// Returns the version of the protocol of commands, which Valkey shares with Redis 7.2.
    fn version(&self) -> Option<(u32, u32)> {
        let mut numbers = self.get("redis_version")?.split('.').map(str::parse);
        Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
    }
}

/// Returns a setting, or `None` if it cannot be found out.
async fn setting(connection: &mut Connection, info: &Info, name: &'static str) -> Option<String> {
    if let Some(value) = info.get(&name.replace('-', "_")) {
        return Some(value.to_owned());
    }
    let mut command = redis::cmd("CONFIG");
    command.arg("GET").arg(name);
    let settings: HashMap<String, String> = ask(connection, command).await.ok()?;
    settings.into_values().next()
}

async fn ask<T: FromRedisValue>(
    connection: &mut Connection,
    command: Cmd,
) -> Result<T, RedisError> {
    let answer = connection.send(&command).await?;
    Ok(T::from_redis_value(answer)?)
}
