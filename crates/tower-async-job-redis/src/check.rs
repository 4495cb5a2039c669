//! The check of a server's settings.

use std::{
    collections::{BTreeSet, HashMap},
    time::Duration,
};

use redis::{Cmd, FromRedisValue, RedisError};
use tokio::time::{sleep, timeout};

use crate::{
    error::ConnectError,
    keys::Keys,
    link::{Connection, Target},
};

/// A script that finds a necessary command that the user may not run.
const PERMISSIONS: &str = include_str!("lua/permissions.lua");

/// The time between two questions to a server that cannot answer yet.
const PAUSE: Duration = Duration::from_millis(50);

/// The expectations of the builder.
#[derive(Debug)]
pub(crate) struct Wish {
    pub(crate) is_cluster: Option<bool>,
    pub(crate) accepts_loss: bool,
    pub(crate) replicas: u32,
}

/// The result of the check.
#[derive(Debug)]
pub(crate) struct Findings {
    pub(crate) is_cluster: bool,
    /// True if the server flushes later, and has to be asked whether it did.
    pub(crate) has_to_ask: bool,
}

/// Checks that a server keeps what it acknowledges, and that the user may run the necessary commands
/// on the keys of the store.
pub(crate) async fn check(
    target: &Target,
    keys: &Keys,
    wish: &Wish,
    limit: Duration,
) -> Result<Findings, ConnectError> {
    let mut starting = None;
    let examined = timeout(limit, async {
        loop {
            match examine(target, wish, limit).await {
                // It loads its data, or is being replaced.
                Err(error) if error.is_starting() => starting = Some(error),
                examined => return examined,
            }
            sleep(PAUSE).await;
        }
    });
    let examined = examined.await;
    let late = |_| Err(starting.unwrap_or_else(ConnectError::unreachable));
    let (mut connection, findings) = examined.unwrap_or_else(late)?;
    let confirmation = match (findings.has_to_ask, wish.replicas) {
        (true, _) => "WAITAOF",
        (false, 0) => "",
        (false, _) => "WAIT",
    };
    check_permissions(&mut connection, keys, confirmation, limit).await?;
    Ok(findings)
}

/// Checks the settings; returns the connection that it has opened too.
async fn examine(
    target: &Target,
    wish: &Wish,
    limit: Duration,
) -> Result<(Connection, Findings), ConnectError> {
    let mut connection = target.connect(limit).await.map_err(ConnectError::of)?;
    ask::<()>(&mut connection, redis::cmd("PING"))
        .await
        .map_err(ConnectError::of)?;
    let mut info = Info::read(&mut connection).await;
    if info[0].get("redis_mode") == Some("sentinel") {
        return Err(ConnectError::sentinel());
    }
    let is_cluster = wish.is_cluster.unwrap_or_else(|| info[0].is_of_cluster());
    if is_cluster {
        let mut cluster = target.clone();
        cluster.is_cluster = true;
        connection = cluster.connect(limit).await.map_err(ConnectError::of)?;
        info = Info::read(&mut connection).await;
    }
    let servers = info.len();
    let settings = [
        setting(&mut connection, servers, "maxmemory-policy").await,
        setting(&mut connection, servers, "appendonly").await,
        setting(&mut connection, servers, "appendfsync").await,
    ];
    let mut has_to_ask = false;
    let mut unknown = BTreeSet::new();
    for (place, info) in info.iter().enumerate() {
        let [policy, file, flushes] = settings.each_ref().map(|values| values[place].as_deref());
        let known = info.get("aof_enabled").map(|enabled| match enabled {
            "1" => "yes",
            _ => "no",
        });
        let server = Server {
            version: info.version(),
            // Commands are routed to the masters of a cluster.
            is_replica: !is_cluster && info.get("role") == Some("slave"),
            policy: info.get("maxmemory_policy").or(policy),
            file: known.or(file),
            flushes,
        };
        has_to_ask |= server.check(wish)?;
        unknown.extend(server.unknown());
    }
    if !unknown.is_empty() {
        tracing::warn!(
            settings = Vec::from_iter(unknown).join(", "),
            "settings of the Redis server could not be checked, since it refuses `CONFIG GET`: make \
             sure that `maxmemory-policy` is `noeviction`, and that it keeps what it acknowledges"
        );
    }
    let findings = Findings {
        is_cluster,
        has_to_ask,
    };
    Ok((connection, findings))
}

async fn check_permissions(
    connection: &mut Connection,
    keys: &Keys,
    confirmation: &str,
    limit: Duration,
) -> Result<(), ConnectError> {
    let mut command = redis::cmd("EVAL");
    command.arg(PERMISSIONS).arg(0);
    command.arg(keys.events()).arg(confirmation);
    // Each master of a cluster has users of its own. A server that cannot tell is used.
    let answers = match timeout(limit, connection.ask_masters(command)).await {
        Ok(Ok(answers)) => answers,
        Ok(Err(error)) => {
            let error = ConnectError::of(error);
            return match error.is_permission_denied() {
                true => Err(error),
                false => Ok(()),
            };
        }
        Err(_) => return Ok(()),
    };
    let denied = answers.into_iter().map(String::from_redis_value);
    match denied.flatten().find(|command| !command.is_empty()) {
        Some(command) => Err(ConnectError::denied(command, &keys.events())),
        None => Ok(()),
    }
}

/// The known facts about a server: one that stands alone, or a master of a cluster.
struct Server<'a> {
    version: Option<(u32, u32)>,
    is_replica: bool,
    policy: Option<&'a str>,
    file: Option<&'a str>,
    flushes: Option<&'a str>,
}

impl Server<'_> {
    /// Checks that it keeps what it acknowledges. Returns whether it has to be asked for that.
    fn check(&self, wish: &Wish) -> Result<bool, ConnectError> {
        if let Some((major, minor)) = self.version
            && (major, minor) < (7, 0)
        {
            return Err(ConnectError::outdated(format!("{major}.{minor}")));
        }
        if self.is_replica {
            return Err(ConnectError::read_only());
        }
        match self.policy {
            Some("noeviction") | None => {}
            Some(policy) => return Err(ConnectError::evicts(policy.to_owned())),
        }
        if wish.accepts_loss {
            return Ok(false);
        }
        if self.file == Some("no") {
            return Err(ConnectError::not_durable("`appendonly` is `no`"));
        }
        match self.flushes {
            Some("always") | None => Ok(false),
            // The server then tells when it has flushed.
            Some("everysec") if self.version >= Some((7, 2)) => Ok(true),
            Some(other) => Err(ConnectError::not_durable(format!(
                "`appendfsync` is `{other}`"
            ))),
        }
    }

    /// Returns the settings that could not be found out.
    fn unknown(&self) -> impl Iterator<Item = &'static str> {
        let settings = [
            ("maxmemory-policy", self.policy),
            ("appendonly", self.file),
            ("appendfsync", self.flushes),
        ];
        let unknown = settings.into_iter().filter(|(_, value)| value.is_none());
        unknown.map(|(name, _)| name)
    }
}

/// The answer of a server to `INFO`, empty if it is refused.
#[derive(Default)]
struct Info(HashMap<String, String>);

impl Info {
    /// Reads that of the server, or of each master of the cluster.
    async fn read(connection: &mut Connection) -> Vec<Self> {
        let answers = connection.ask_masters(redis::cmd("INFO")).await;
        let texts = answers.unwrap_or_default().into_iter().map(|answer| {
            let text = String::from_redis_value(answer).unwrap_or_default();
            let pairs = text.lines().filter_map(|line| line.split_once(':'));
            let pairs = pairs.map(|(name, value)| (name.into(), value.trim().into()));
            Self(pairs.collect())
        });
        let info: Vec<_> = texts.collect();
        match info.is_empty() {
            true => vec![Self::default()],
            false => info,
        }
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    fn is_of_cluster(&self) -> bool {
        self.get("cluster_enabled") == Some("1")
    }

    /// Returns the version of the protocol of commands, which Valkey shares with Redis 7.2.
    fn version(&self) -> Option<(u32, u32)> {
        let mut numbers = self.get("redis_version")?.split('.').map(str::parse);
        Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
    }
}

/// Returns a setting of each of this number of servers, or `None` if it cannot be found out.
async fn setting(
    connection: &mut Connection,
    servers: usize,
    name: &'static str,
) -> Vec<Option<String>> {
    let mut command = redis::cmd("CONFIG");
    command.arg("GET").arg(name);
    let answers = connection.ask_masters(command).await.unwrap_or_default();
    let values = answers.into_iter().map(|answer| {
        let settings = HashMap::<String, String>::from_redis_value(answer).ok()?;
        settings.into_values().next()
    });
    let mut values: Vec<_> = values.collect();
    if values.len() != servers {
        // The masters have just changed.
        values = vec![None; servers];
    }
    values
}

async fn ask<T: FromRedisValue>(
    connection: &mut Connection,
    command: Cmd,
) -> Result<T, RedisError> {
    let answer = connection.send(&command).await?;
    Ok(T::from_redis_value(answer)?)
}
