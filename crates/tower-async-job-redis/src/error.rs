use std::{error::Error, fmt};

use redis::RedisError;

/// The error of connecting a [`RedisStore`](crate::RedisStore).
///
/// Its text names the remedy. The kind is private; check it with the `is_…` methods.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// use std::time::Duration;
/// use tower_async_job_redis::RedisStore;
///
/// let store = RedisStore::builder(["redis://127.0.0.1:1"])
///     .operation_timeout(Duration::from_millis(100));
/// let error = store.connect().await.unwrap_err();
/// assert!(error.is_unreachable());
/// # }
/// ```
#[derive(Debug)]
pub struct ConnectError {
    kind: Kind,
    source: Option<RedisError>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    Address,
    Unreachable,
    Denied,
    ReadOnly,
    Evicts(String),
    NotDurable(String),
    Outdated(String),
}

impl ConnectError {
    fn new(kind: Kind, source: Option<RedisError>) -> Self {
        Self { kind, source }
    }

    pub(crate) fn address(source: RedisError) -> Self {
        Self::new(Kind::Address, Some(source))
    }

    /// Converts the failure of a command that every user of the store has to be allowed.
    pub(crate) fn of(source: RedisError) -> Self {
        let is_denied = matches!(source.code(), Some("NOPERM" | "NOAUTH" | "WRONGPASS"))
            || source.kind() == redis::ErrorKind::AuthenticationFailed;
        let kind = match is_denied {
            true => Kind::Denied,
            false => Kind::Unreachable,
        };
        Self::new(kind, Some(source))
    }

    pub(crate) fn unreachable() -> Self {
        Self::new(Kind::Unreachable, None)
    }

    pub(crate) fn read_only() -> Self {
        Self::new(Kind::ReadOnly, None)
    }

    pub(crate) fn evicts(policy: String) -> Self {
        Self::new(Kind::Evicts(policy), None)
    }

    pub(crate) fn not_durable(found: impl Into<String>) -> Self {
        Self::new(Kind::NotDurable(found.into()), None)
    }

    pub(crate) fn outdated(version: String) -> Self {
        Self::new(Kind::Outdated(version), None)
    }

    /// Returns whether an address is malformed.
    pub fn is_invalid_address(&self) -> bool {
        self.kind == Kind::Address
    }

    /// Returns whether no server can be reached.
    pub fn is_unreachable(&self) -> bool {
        self.kind == Kind::Unreachable
    }

    /// Returns whether the server refuses the user or a necessary command.
    pub fn is_permission_denied(&self) -> bool {
        self.kind == Kind::Denied
    }

    /// Returns whether the server is a replica, which refuses writes.
    pub fn is_read_only(&self) -> bool {
        self.kind == Kind::ReadOnly
    }

    /// Returns whether the server deletes jobs when its memory is full.
    pub fn is_evicting(&self) -> bool {
        matches!(self.kind, Kind::Evicts(_))
    }

    /// Returns whether the server loses acknowledged jobs when it ends.
    pub fn is_not_durable(&self) -> bool {
        matches!(self.kind, Kind::NotDurable(_))
    }

    /// Returns whether the server is too old.
    pub fn is_outdated(&self) -> bool {
        matches!(self.kind, Kind::Outdated(_))
    }
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Kind::Address => f.write_str(
                "the address of the Redis server is malformed: write \
                 `redis://[user][:password@]host[:port][/database]`, or `rediss://…` with TLS",
            ),
            Kind::Unreachable => {
                f.write_str("no Redis server can be reached: check its address, and that it runs")
            }
            Kind::Denied => f.write_str(
                "the Redis server refuses the user or a necessary command: check the name and the \
                 password, and allow the commands that the documentation lists",
            ),
            Kind::ReadOnly => f.write_str(
                "the Redis server is a replica, which refuses writes: connect to its master",
            ),
            Kind::Evicts(policy) => write!(
                f,
                "the Redis server deletes jobs when its memory is full, since `maxmemory-policy` is \
                 `{policy}`: run `CONFIG SET maxmemory-policy noeviction`, and set it in its \
                 configuration"
            ),
            Kind::NotDurable(found) => write!(
                f,
                "the Redis server loses acknowledged jobs when it ends, since {found}: run `CONFIG \
                 SET appendonly yes` and `CONFIG SET appendfsync always`, and set both in its \
                 configuration; or allow the loss with `accept_loss(true)`"
            ),
            Kind::Outdated(version) => write!(
                f,
                "the Redis server has version {version}, and the store needs 7.0 or later, or \
                 Valkey: update it"
            ),
        }
    }
}

impl Error for ConnectError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.source {
            Some(source) => Some(source),
            None => None,
        }
    }
}
