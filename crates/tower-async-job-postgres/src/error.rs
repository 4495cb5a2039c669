use std::{error::Error, fmt};

use tokio_postgres::error::SqlState;

/// The error of connecting a [`PostgresStore`](crate::PostgresStore).
///
/// Its text names the server without the password, and says what is wrong and what to do. The
/// words of the server are in its source. The kind is private; check it with the `is_…` methods.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// use tower_async_job_postgres::PostgresStore;
///
/// let error = PostgresStore::connect("postgres://127.0.0.1:1/jobs").await.unwrap_err();
/// assert!(error.is_unreachable());
/// assert!(error.to_string().starts_with("PostgreSQL at `127.0.0.1:1/jobs` cannot be reached"));
/// # }
/// ```
pub struct ConnectError {
    kind: Kind,
    /// Empty until it is known.
    server: String,
    source: Option<Box<dyn Error + Send + Sync>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    Url(String),
    Certificates(String),
    Unreachable,
    Occupied,
    Tls,
    Certificate,
    Password,
    Database,
    Version(i32),
    Encoding(String),
    NotDurable {
        setting: &'static str,
    },
    ReadOnly,
    Foreign(String),
    Newer {
        schema: String,
        found: i32,
        known: i32,
    },
    Outdated {
        schema: String,
        found: i32,
        known: i32,
    },
    Privileges(String),
    /// The role may not create or change this schema.
    Fixed(String),
    /// Other transactions have the tables of this schema.
    Locked(String),
    Other,
}

impl ConnectError {
    fn new(kind: Kind) -> Self {
        Self {
            kind,
            server: String::new(),
            source: None,
        }
    }

    pub(crate) fn at(mut self, server: impl fmt::Display) -> Self {
        self.server = server.to_string();
        self
    }

    fn with_source(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    pub(crate) fn url(reason: impl Into<String>) -> Self {
        Self::new(Kind::Url(reason.into()))
    }

    pub(crate) fn certificates(reason: impl Into<String>) -> Self {
        Self::new(Kind::Certificates(reason.into()))
    }

    pub(crate) fn version(number: i32) -> Self {
        Self::new(Kind::Version(number / 10_000))
    }

    pub(crate) fn encoding(encoding: impl Into<String>) -> Self {
        Self::new(Kind::Encoding(encoding.into()))
    }

    pub(crate) fn not_durable(setting: &'static str) -> Self {
        Self::new(Kind::NotDurable { setting })
    }

    pub(crate) fn read_only() -> Self {
        Self::new(Kind::ReadOnly)
    }

    pub(crate) fn foreign(schema: &str) -> Self {
        Self::new(Kind::Foreign(schema.to_owned()))
    }

    pub(crate) fn newer(schema: &str, found: i32, known: i32) -> Self {
        let schema = schema.to_owned();
        Self::new(Kind::Newer {
            schema,
            found,
            known,
        })
    }

    pub(crate) fn outdated(schema: &str, found: i32, known: i32) -> Self {
        let schema = schema.to_owned();
        Self::new(Kind::Outdated {
            schema,
            found,
            known,
        })
    }

    pub(crate) fn privileges(object: impl Into<String>) -> Self {
        Self::new(Kind::Privileges(object.into()))
    }

    pub(crate) fn timed_out() -> Self {
        Self::new(Kind::Unreachable).with_source("no answer within the operation timeout")
    }

    /// Creates the error of a first connection.
    pub(crate) fn of_connect(error: tokio_postgres::Error) -> Self {
        let text = full_text(&error);
        let kind = match error.code() {
            Some(&SqlState::INVALID_PASSWORD | &SqlState::INVALID_AUTHORIZATION_SPECIFICATION) => {
                Kind::Password
            }
            Some(&SqlState::INVALID_CATALOG_NAME) => Kind::Database,
            Some(&SqlState::TOO_MANY_CONNECTIONS) => Kind::Occupied,
            Some(&SqlState::CANNOT_CONNECT_NOW | &SqlState::ADMIN_SHUTDOWN) => Kind::Unreachable,
            Some(&SqlState::PROTOCOL_VIOLATION) => of_pool(&text).unwrap_or(Kind::Other),
            Some(_) => Kind::Other,
            None if text.contains("certificate") => Kind::Certificate,
            None if text.contains("TLS") => Kind::Tls,
            // With `target_session_attrs=read-write`, if only standbys can be reached.
            None if text.contains("does not allow writes") => Kind::ReadOnly,
            None if text.contains("password") || text.contains("authentication") => Kind::Password,
            None => Kind::Unreachable,
        };
        Self::new(kind).with_source(error)
    }

    /// Creates the error of a check after the first connection.
    pub(crate) fn of_start(schema: &str, error: tokio_postgres::Error) -> Self {
        let kind = match error.code() {
            Some(&SqlState::INSUFFICIENT_PRIVILEGE) => {
                Kind::Privileges(format!("schema {schema:?}"))
            }
            Some(&SqlState::PROTOCOL_VIOLATION) => {
                of_pool(&full_text(&error)).unwrap_or(Kind::Unreachable)
            }
            // The server has ended the connection, or one that PgBouncer had.
            Some(code) if matches!(&code.code()[..2], "08" | "57") => Kind::Unreachable,
            Some(_) => Kind::Other,
            None => Kind::Unreachable,
        };
        Self::new(kind).with_source(error)
    }

    pub(crate) fn of_migration(schema: &str, error: tokio_postgres::Error) -> Self {
        match error.code() {
            Some(&SqlState::READ_ONLY_SQL_TRANSACTION) => Self::read_only().with_source(error),
            Some(&SqlState::LOCK_NOT_AVAILABLE) => {
                Self::new(Kind::Locked(schema.to_owned())).with_source(error)
            }
            Some(&SqlState::DUPLICATE_TABLE) => Self::foreign(schema).with_source(error),
            Some(&SqlState::INSUFFICIENT_PRIVILEGE) => {
                Self::new(Kind::Fixed(schema.to_owned())).with_source(error)
            }
            _ => Self::of_start(schema, error),
        }
    }

    /// Returns whether the URL is malformed, or has an unknown parameter.
    pub fn is_url_malformed(&self) -> bool {
        matches!(self.kind, Kind::Url(_) | Kind::Certificates(_))
    }

    /// Returns whether the server cannot be reached, or has no connection left.
    pub fn is_unreachable(&self) -> bool {
        matches!(self.kind, Kind::Unreachable | Kind::Occupied)
    }

    /// Returns whether the connection cannot be encrypted as demanded, or the certificate is refused.
    pub fn is_tls(&self) -> bool {
        matches!(self.kind, Kind::Tls | Kind::Certificate)
    }

    /// Returns whether the server refuses the role or its password.
    pub fn is_authentication(&self) -> bool {
        self.kind == Kind::Password
    }

    /// Returns whether the database does not exist.
    pub fn is_database_missing(&self) -> bool {
        self.kind == Kind::Database
    }

    /// Returns whether the server or its encoding is unsupported.
    pub fn is_unsupported_server(&self) -> bool {
        matches!(self.kind, Kind::Version(_) | Kind::Encoding(_))
    }

    /// Returns whether the server is configured to lose commits that it has acknowledged.
    pub fn is_not_durable(&self) -> bool {
        matches!(self.kind, Kind::NotDurable { .. })
    }

    /// Returns whether the server is a standby, or the role may only read.
    pub fn is_read_only(&self) -> bool {
        self.kind == Kind::ReadOnly
    }

    /// Returns whether the schema belongs to another application.
    pub fn is_foreign(&self) -> bool {
        matches!(self.kind, Kind::Foreign(_))
    }

    /// Returns whether a newer release has migrated the schema beyond what this one can use.
    pub fn is_newer(&self) -> bool {
        matches!(self.kind, Kind::Newer { .. })
    }

    /// Returns whether the schema has to be migrated, which was not allowed.
    pub fn is_outdated(&self) -> bool {
        matches!(self.kind, Kind::Outdated { .. })
    }

    /// Returns whether the role lacks privileges.
    pub fn is_permission_denied(&self) -> bool {
        matches!(self.kind, Kind::Privileges(_) | Kind::Fixed(_))
    }
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let server = &self.server;
        match &self.kind {
            Kind::Url(reason) => write!(
                f,
                "the URL of PostgreSQL is malformed: {reason}: write \
                 `postgres://[user[:password]@]host[:port]/database`"
            ),
            Kind::Certificates(reason) => write!(
                f,
                "the root certificates for PostgreSQL cannot be used: {reason}: check `sslrootcert`"
            ),
            Kind::Unreachable => write!(
                f,
                "PostgreSQL at `{server}` cannot be reached: check host and port, and that the \
                 server runs"
            ),
            Kind::Occupied => write!(
                f,
                "PostgreSQL at `{server}` has no connection left: raise `max_connections` (in \
                 PgBouncer, `max_client_conn`) or the limit of the role, or let the nodes have fewer \
                 `connections`"
            ),
            Kind::Tls => write!(
                f,
                "the connection to PostgreSQL at `{server}` cannot be encrypted: enable `ssl` in \
                 the server, or check `sslmode` in the URL"
            ),
            Kind::Certificate => write!(
                f,
                "the certificate of PostgreSQL at `{server}` is refused: `sslrootcert` in the URL \
                 must have the root that issued it, and with `verify-full` its `subjectAltName` \
                 must have the host of the URL"
            ),
            Kind::Password => write!(
                f,
                "PostgreSQL at `{server}` refuses the role: check user and password in the URL, and \
                 `pg_hba.conf`"
            ),
            Kind::Database => write!(
                f,
                "the database of `{server}` does not exist: create it, or check its name in the URL"
            ),
            Kind::Version(version) => write!(
                f,
                "PostgreSQL at `{server}` has version {version}, and the store needs 13 or later: \
                 upgrade it"
            ),
            Kind::Encoding(encoding) => write!(
                f,
                "the database of `{server}` has the encoding {encoding}, and the store needs UTF8: \
                 create one with `CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0`"
            ),
            Kind::NotDurable { setting } => write!(
                f,
                "PostgreSQL at `{server}` may lose commits that it has acknowledged, since \
                 `{setting}` is off: set it to on for the server, the database and the role"
            ),
            Kind::ReadOnly => write!(
                f,
                "PostgreSQL at `{server}` is a standby, or its transactions are read-only: connect \
                 to the primary, for example with `target_session_attrs=read-write` in the URL"
            ),
            Kind::Foreign(schema) => write!(
                f,
                "the schema {schema:?} of `{server}` belongs to another application: choose another \
                 one"
            ),
            Kind::Newer {
                schema,
                found,
                known,
            } => write!(
                f,
                "the schema {schema:?} of `{server}` has version {found}, and this build knows up to \
                 version {known}: run the newer release that migrated it"
            ),
            Kind::Outdated {
                schema, found: 0, ..
            } => write!(
                f,
                "the schema {schema:?} of `{server}` does not exist, or is empty: apply the \
                 migrations, or allow the store to do so"
            ),
            Kind::Outdated {
                schema,
                found,
                known,
            } => write!(
                f,
                "the schema {schema:?} of `{server}` has version {found}, and this build needs \
                 version {known}: apply the missing migrations, or allow the store to do so"
            ),
            Kind::Privileges(object) => write!(
                f,
                "the role of `{server}` lacks privileges on {object}: grant them as in the section \
                 Roles of the documentation of tower-async-job-postgres"
            ),
            Kind::Fixed(schema) => write!(
                f,
                "the role of `{server}` may not create or change the schema {schema:?}: let it own \
                 the schema, by `CREATE SCHEMA … AUTHORIZATION …`; or apply the migrations as another \
                 role, and set `migrate(false)`"
            ),
            Kind::Locked(schema) => write!(
                f,
                "the schema {schema:?} of `{server}` cannot be migrated while other transactions use \
                 its tables, such as a backup: wait for their end, or end those that \
                 `pg_stat_activity` shows, and start the node again"
            ),
            Kind::Other => write!(f, "the store in PostgreSQL at `{server}` cannot be used"),
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
            Some(source) => Some(&**source),
            None => None,
        }
    }
}

/// Returns the kind of a refusal by PgBouncer, which has one code for all of them.
fn of_pool(text: &str) -> Option<Kind> {
    let says = |words: &[&str]| words.iter().any(|words| text.contains(words));
    let is_missing = text.contains("does not exist");
    if says(&["no such database"]) || is_missing && text.contains("database \"") {
        Some(Kind::Database)
    } else if says(&[
        "no more connections",
        "too many clients",
        "too many connections",
    ]) {
        Some(Kind::Occupied)
    } else if is_missing || says(&["no such user", "authentication", "password"]) {
        Some(Kind::Password)
    } else {
        None
    }
}

/// Returns the texts of an error and its sources.
pub(crate) fn full_text(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}
