//! The schema of the store, and the migrations to it.

use std::time::Duration;

use tokio::time::{Instant, sleep};
use tokio_postgres::{Client, Error, error::SqlState, types::Type};

use crate::error::ConnectError;

/// A step to a version of the schema. Released steps never change, and only add: tables, columns
/// with defaults, functions with new names, and replacements that take and return the same, so that the
/// previous release continues to run.
struct Step {
    sql: &'static [&'static str],
    /// The oldest version that may still use the schema.
    oldest: i32,
}

const STEPS: &[Step] = &[
    Step {
        sql: &[
            include_str!("version-1/tables.sql"),
            include_str!("version-1/life.sql"),
            include_str!("version-1/creating.sql"),
            include_str!("version-1/running.sql"),
            include_str!("version-1/changing.sql"),
            include_str!("version-1/claiming.sql"),
            include_str!("version-1/reading.sql"),
        ],
        oldest: 1,
    },
    Step {
        sql: &[
            include_str!("version-2/outside.sql"),
            include_str!("version-2/sweeping.sql"),
            include_str!("version-2/reading.sql"),
        ],
        oldest: 1,
    },
];

/// The settings of all functions that nodes call. Plans are made once per connection, and before
/// there are statistics, so they must not depend on the number of rows: rows are read in the order of
/// an index, and never all.
const FUNCTION_SETTINGS: &str = "SET jit = off SET enable_seqscan = off SET enable_sort = off \
     SET enable_bitmapscan = off SET enable_hashjoin = off SET enable_mergejoin = off \
     SET plan_cache_mode = force_generic_plan";

/// The time for which a step waits for other transactions that have the tables, in milliseconds. Later
/// ones wait behind it, so it is short, and the step is tried again after a pause.
const LOCKED: u32 = 300;
const PAUSE: Duration = Duration::from_secs(1);

/// The version of the schema that this release knows.
const LATEST: i32 = STEPS.len() as i32;

/// The SQL that brings a schema to a version from the previous one.
///
/// ```
/// use tower_async_job_postgres::PostgresStore;
///
/// let migrations = PostgresStore::builder("postgres://localhost").schema("jobs").migrations();
/// assert_eq!(migrations[0].version(), 1);
/// assert!(migrations[0].sql().contains("CREATE SCHEMA \"jobs\";"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Migration {
    version: u32,
    sql: String,
}

impl Migration {
    /// Returns the version of the schema after it.
    pub fn version(&self) -> u32 {
        self.version
    }

    /// Returns its commands. Run them in one transaction, as the owner of the schema.
    pub fn sql(&self) -> &str {
        &self.sql
    }
}

/// Returns an identifier in quotes.
pub(crate) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Returns a delimiter of the bodies of functions that does not occur in this name.
fn delimiter_beside(name: &str) -> String {
    let mut delimiter = "$$".to_owned();
    while name.contains(&delimiter) {
        delimiter.insert(1, 'b');
    }
    delimiter
}

/// Inserts the name of a schema into commands.
fn with_name(commands: &str, name: &str) -> String {
    let mut parts = commands.split("{schema}");
    let mut sql = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        match sql.ends_with('\'') {
            // In a literal, a quote needs a second one.
            true => sql.push_str(&name.replace('\'', "''")),
            false => sql.push_str(name),
        }
        sql.push_str(part);
    }
    sql
}

/// Returns all steps to the latest version.
pub(crate) fn migrations(schema: &str) -> Vec<Migration> {
    let name = quoted(schema);
    let step = |(index, step): (usize, &Step)| {
        let version = index + 1;
        let oldest = step.oldest;
        let commands = step.sql.concat();
        let commands = commands.replace("{settings}", FUNCTION_SETTINGS);
        let commands = commands.replace("$$", &delimiter_beside(&name));
        let commands = with_name(&commands, &name);
        let end = match version {
            1 => format!("INSERT INTO {name}.store VALUES (true, {version}, {oldest});\n"),
            _ => format!("UPDATE {name}.store SET version = {version}, oldest = {oldest};\n"),
        };
        Migration {
            version: version as u32,
            sql: [commands, end].concat(),
        }
    };
    STEPS.iter().enumerate().map(step).collect()
}

/// The state of a schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Found {
    /// It does not exist, or has nothing in it.
    Nothing,
    /// It has tables, but not those of a store.
    Foreign,
    Version {
        version: i32,
        oldest: i32,
    },
}

impl Found {
    /// Returns the number of steps that were applied.
    fn version(self, schema: &str) -> Result<i32, ConnectError> {
        match self {
            Self::Nothing => Ok(0),
            Self::Foreign => Err(ConnectError::foreign(schema)),
            Self::Version { version, oldest } if oldest > LATEST => {
                Err(ConnectError::newer(schema, version, LATEST))
            }
            Self::Version { version, .. } => Ok(version),
        }
    }
}

/// Brings the schema to the latest version, in one transaction, or only checks it. Nodes that do so
/// at once do it once. Fails if other transactions have the tables for longer than `patience`.
pub(crate) async fn migrate(
    client: &mut Client,
    schema: &str,
    is_allowed: bool,
    patience: Duration,
) -> Result<(), ConnectError> {
    let version = found(client, schema).await?.version(schema)?;
    if version >= LATEST {
        return Ok(());
    }
    if !is_allowed {
        return Err(ConnectError::outdated(schema, version, LATEST));
    }
    let applied = apply(client, schema, Instant::now() + patience).await;
    if !matches!(applied, Ok(Ok(()))) {
        // The error itself is the one to return.
        let _ = client.batch_execute("ROLLBACK").await;
    }
    applied.map_err(|error| ConnectError::of_migration(schema, error))?
}

/// Applies the steps that are missing. Only one of the nodes that do so at once tries to get the
/// tables, and keeps the others waiting meanwhile.
async fn apply(
    client: &mut Client,
    schema: &str,
    deadline: Instant,
) -> Result<Result<(), ConnectError>, Error> {
    client.batch_execute("BEGIN").await?;
    let key: &(dyn tokio_postgres::types::ToSql + Sync) = &schema;
    let lock = "SELECT pg_advisory_xact_lock(hashtext($1), 1953263202)::text";
    client.query_typed(lock, &[(key, Type::TEXT)]).await?;
    // Another node may have been first.
    let version = match found(client, schema)
        .await
        .and_then(|found| found.version(schema))
    {
        Ok(version) => version,
        Err(error) => return Ok(Err(error)),
    };
    let impatient = format!("SET LOCAL lock_timeout = {LOCKED}; SAVEPOINT unchanged");
    client.batch_execute(&impatient).await?;
    let missing = migrations(schema).into_iter().skip(version as usize);
    let sql: String = missing.map(|migration| migration.sql).collect();
    loop {
        match client.batch_execute(&sql).await {
            Err(error) if is_locked(&error) && Instant::now() < deadline => {
                client.batch_execute("ROLLBACK TO unchanged").await?;
                sleep(PAUSE).await;
            }
            applied => break applied?,
        }
    }
    client.batch_execute("COMMIT").await?;
    Ok(Ok(()))
}

fn is_locked(error: &Error) -> bool {
    error.code() == Some(&SqlState::LOCK_NOT_AVAILABLE)
}

async fn found(client: &Client, schema: &str) -> Result<Found, ConnectError> {
    let failed = |error| ConnectError::of_start(schema, error);
    let tables = "SELECT count(*) FILTER (WHERE c.relname = 'store') > 0, \
                  count(*) FILTER (WHERE c.relname = 'jobs') > 0 \
                  FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace \
                  WHERE n.nspname = $1 AND c.relkind IN ('r', 'v', 'p')";
    let key: &(dyn tokio_postgres::types::ToSql + Sync) = &schema;
    let row = client.query_typed_one(tables, &[(key, Type::TEXT)]).await;
    let row = row.map_err(failed)?;
    match (row.get(0), row.get(1)) {
        (true, true) => {}
        (false, false) => return Ok(Found::Nothing),
        _ => return Ok(Found::Foreign),
    }
    let sql = format!("SELECT version, oldest FROM {}.store", quoted(schema));
    let row = client.query_typed_one(&sql, &[]).await.map_err(failed)?;
    Ok(Found::Version {
        version: row.get(0),
        oldest: row.get(1),
    })
}
