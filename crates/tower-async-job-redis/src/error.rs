use std::{error::Error, fmt};

use redis::RedisError;

/// The error of connecting a [`RedisStore`](crate::RedisStore).
///
/// Its text names the server without the password, and says what is wrong and what to do. The
/// words of the server are in its source. The kind is private; check it with the `is_…` methods.
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
/// assert!(error.to_string().starts_with("Redis at `127.0.0.1:1` cannot be reached"));
/// # }
/// ```
pub struct ConnectError {
    kind: Kind,
    /// Empty until it is known.
    server: String,
    source: Option<RedisError>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    Address,
    Unreachable,
    Password,
    /// The command that is denied, and the keys.
    Denied(String),
    ReadOnly,
    Evicts(String),
    NotDurable(String),
    Outdated(String),
    /// The server is a Sentinel.
    Sentinel,
    /// The server is no Sentinel.
    NoSentinel,
    /// The name that the Sentinels do not know.
    UnknownMaster(String),
    /// The server does not have the database.
    Database,
    Starting,
    Other,
}

impl ConnectError {
    fn new(kind: Kind, source: Option<RedisError>) -> Self {
        Self {
            kind,
            server: String::new(),
            source,
        }
    }

    /// Returns whether the server cannot answer yet.
    pub(crate) fn is_starting(&self) -> bool {
        self.kind == Kind::Starting
    }

    pub(crate) fn at(mut self, server: impl fmt::Display) -> Self {
        self.server = server.to_string();
        self
    }

    pub(crate) fn address(source: RedisError) -> Self {
        Self::new(Kind::Address, Some(source))
    }

    /// Converts the failure of a command that every user of the store has to be allowed.
    pub(crate) fn of(source: RedisError) -> Self {
        let is_refused = source.kind() == redis::ErrorKind::AuthenticationFailed;
        let words = source.to_string();
        let kind = match source.code() {
            _ if source.kind() == redis::ErrorKind::MasterNameNotFoundBySentinel => {
                Kind::UnknownMaster(source.detail().unwrap_or_default().to_owned())
            }
            _ if words.contains("switch database") => Kind::Database,
            _ if words.contains("SENTINEL") => Kind::NoSentinel,
            Some("LOADING" | "MASTERDOWN" | "CLUSTERDOWN") => Kind::Starting,
            Some("NOPERM") => Kind::Denied("a command".to_owned()),
            Some("NOAUTH" | "WRONGPASS") => Kind::Password,
            _ if is_refused => Kind::Password,
            Some("ERR") => Kind::Other,
            _ => Kind::Unreachable,
        };
        Self::new(kind, Some(source))
    }

    pub(crate) fn denied(command: String, key: &str) -> Self {
        Self::new(
            Kind::Denied(format!("`{command}` on keys such as `{key}`")),
            None,
        )
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

    pub(crate) fn sentinel() -> Self {
        Self::new(Kind::Sentinel, None)
    }

    pub(crate) fn outdated(version: String) -> Self {
        Self::new(Kind::Outdated(version), None)
    }

    /// Returns whether an address is malformed, or is that of another kind of server or of a database
    /// that does not exist.
    pub fn is_invalid_address(&self) -> bool {
        matches!(
            self.kind,
            Kind::Address
                | Kind::Sentinel
                | Kind::NoSentinel
                | Kind::UnknownMaster(_)
                | Kind::Database
        )
    }

    /// Returns whether no server can be reached, or it cannot be used yet.
    pub fn is_unreachable(&self) -> bool {
        matches!(self.kind, Kind::Unreachable | Kind::Starting)
    }

    /// Returns whether the server refuses the user or a necessary command.
    pub fn is_permission_denied(&self) -> bool {
        matches!(self.kind, Kind::Password | Kind::Denied(_))
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
        let server = &self.server;
        match &self.kind {
            Kind::Address => f.write_str(
                "the address of Redis is malformed: write \
                 `redis://[user][:password@]host[:port][/database]`, or `rediss://…` with TLS",
            ),
            Kind::Unreachable => write!(
                f,
                "Redis at `{server}` cannot be reached: check its address, which begins with \
                 `rediss://` if it expects TLS, and that it runs"
            ),
            Kind::Password => write!(
                f,
                "Redis at `{server}` refuses the user: check the name and the password in the \
                 address"
            ),
            Kind::Denied(what) => write!(
                f,
                "Redis at `{server}` does not allow the user {what}: allow the commands and keys of \
                 the section Permissions of the documentation of tower-async-job-redis"
            ),
            Kind::ReadOnly => write!(
                f,
                "Redis at `{server}` is a replica, which refuses writes: connect to its master"
            ),
            Kind::Evicts(policy) => write!(
                f,
                "Redis at `{server}` deletes jobs when its memory is full, since `maxmemory-policy` \
                 is `{policy}`: run `CONFIG SET maxmemory-policy noeviction`, and set it in its \
                 configuration"
            ),
            Kind::NotDurable(found) => write!(
                f,
                "Redis at `{server}` loses acknowledged jobs when it ends, since {found}: run \
                 `CONFIG SET appendonly yes` and `CONFIG SET appendfsync always`, and set both in \
                 its configuration; or allow the loss with `accept_loss(true)`"
            ),
            Kind::Outdated(version) => write!(
                f,
                "Redis at `{server}` has version {version}, and the store needs 7.0 or later, or \
                 Valkey: update it"
            ),
            Kind::Sentinel => write!(
                f,
                "`{server}` is a Sentinel, which keeps no jobs: name the master that it knows with \
                 `RedisStoreBuilder::sentinel`, or give the address of the master"
            ),
            Kind::NoSentinel => write!(
                f,
                "`{server}` is no Sentinel: give the addresses of Sentinels, whose port is mostly \
                 26379, or leave `RedisStoreBuilder::sentinel` out"
            ),
            Kind::UnknownMaster(name) => write!(
                f,
                "the Sentinels at `{server}` know no master with the name `{name}`: use the name of \
                 `sentinel monitor` in their configuration"
            ),
            Kind::Database => write!(
                f,
                "Redis at `{server}` does not have the database of the address: use a number below \
                 its setting `databases`, and none with a cluster"
            ),
            Kind::Starting => write!(
                f,
                "Redis at `{server}` cannot be used yet, since it loads its data or awaits a \
                 failover: start the node again when it has"
            ),
            Kind::Other => write!(f, "the store in Redis at `{server}` cannot be used"),
        }
    }
}

/// Shows the text too, since a `main` that returns the error prints this.
impl fmt::Debug for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectError")
            .field("text", &self.to_string())
            .field("source", &self.source)
            .finish()
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
