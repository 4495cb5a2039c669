//! Connections to the database, and statements on them.

mod address;
mod check;
mod tls;

use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use deadpool_postgres::{
    Manager, ManagerConfig, Object, Pool, PoolError, RecyclingMethod, Runtime,
};
use tokio::time::{sleep, timeout};
use tokio_postgres::{
    Row,
    types::{FromSql, ToSql, Type},
};
use tokio_postgres_rustls::MakeRustlsConnect;
use tower_async_job_core::StoreError;

pub(crate) use self::{address::Address, check::check};
use crate::{
    failure::{Failure, late},
    schema::quoted,
    settings::Settings,
};

/// The number of times that a statement is repeated.
const RETRIES: u32 = 3;

/// The pause before the first repetition; each later one is longer.
const PAUSE: Duration = Duration::from_millis(10);

/// The condition that a server is no standby, where it fails. It is evaluated once, before the
/// statement begins. Some hosted servers have no position in a log to tell.
const PRIMARY: &str = " WHERE (SELECT CASE WHEN pg_is_in_recovery() \
                       THEN pg_current_wal_lsn() IS NOT NULL ELSE true END)";

/// A parameter of a statement, with its type.
pub(crate) type Parameter<'a> = (&'a (dyn ToSql + Sync), Type);

/// The conditions on which a statement is repeated after a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Retry {
    /// Repeating it returns the same answer.
    Always,
    /// Only if it is known to have had no effect.
    RolledBack,
}

/// The connections of a store.
pub(crate) struct Database {
    pool: Pool,
    tls: MakeRustlsConnect,
    /// The server as errors name it.
    server: String,
    /// The schema in quotes.
    schema: String,
    timeout: Duration,
    /// True if connections are known to be sessions of the server, so that it keeps statements.
    has_sessions: AtomicBool,
    /// The numbers of statements that were sent, for tests of budgets.
    statements: Mutex<BTreeMap<&'static str, u64>>,
}

impl Database {
    pub(crate) fn new(address: &Address, settings: &Settings) -> Self {
        let config = ManagerConfig {
            recycling_method: RecyclingMethod::Fast,
        };
        let tls = address.tls.clone();
        let manager = Manager::from_config(address.config.clone(), tls.clone(), config);
        let pool = Pool::builder(manager)
            .max_size(settings.connections)
            .runtime(Runtime::Tokio1)
            .build();
        Self {
            // It only fails for timeouts without a runtime.
            pool: pool.unwrap_or_else(|error| unreachable!("{error}")),
            tls,
            server: address.to_string(),
            schema: quoted(&settings.schema),
            timeout: settings.operation_timeout,
            has_sessions: AtomicBool::new(false),
            statements: Mutex::default(),
        }
    }

    pub(crate) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Waits for an answer of the server, at most for the operation timeout.
    pub(crate) async fn in_time<T>(
        &self,
        answer: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let answered = timeout(self.timeout, answer).await;
        answered.unwrap_or_else(|_| Err(late(&self.server, self.timeout)))
    }

    /// Sets whether connections are sessions of the server. Behind a pool in transaction mode, they
    /// are not, and a prepared statement may be another one than was meant.
    pub(crate) fn set_sessions(&self, has_sessions: bool) {
        self.has_sessions.store(has_sessions, Ordering::Relaxed);
    }

    pub(crate) fn statements(&self) -> BTreeMap<&'static str, u64> {
        let statements = self.statements.lock();
        statements.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Calls a function of the schema, and returns its rows.
    pub(crate) async fn call(
        &self,
        function: &'static str,
        parameters: &[Parameter<'_>],
        retry: Retry,
    ) -> Result<Vec<Row>, StoreError> {
        let sql = self.sql_of(function, parameters.len());
        self.query(function, &sql, parameters, retry).await
    }

    /// Calls a function that only reads, as [`call`](Self::call) does. It fails on a standby, which
    /// may lack the latest commits.
    pub(crate) async fn read(
        &self,
        function: &'static str,
        parameters: &[Parameter<'_>],
    ) -> Result<Vec<Row>, StoreError> {
        let sql = self.sql_of(function, parameters.len()) + PRIMARY;
        self.query(function, &sql, parameters, Retry::Always).await
    }

    /// Reads by a function that returns one row.
    pub(crate) async fn read_one(
        &self,
        function: &'static str,
        parameters: &[Parameter<'_>],
    ) -> Result<Row, StoreError> {
        last_of(self.read(function, parameters).await?)
    }

    fn sql_of(&self, function: &str, parameters: usize) -> String {
        let places: Vec<_> = (1..=parameters)
            .map(|number| format!("${number}"))
            .collect();
        let places = places.join(",");
        format!("SELECT * FROM {}.{function}({places})", self.schema)
    }

    /// Calls a function that returns one row.
    pub(crate) async fn call_one(
        &self,
        function: &'static str,
        parameters: &[Parameter<'_>],
        retry: Retry,
    ) -> Result<Row, StoreError> {
        last_of(self.call(function, parameters, retry).await?)
    }

    /// Executes a statement, and returns its rows. It is counted by a name.
    pub(crate) async fn query(
        &self,
        name: &'static str,
        sql: &str,
        parameters: &[Parameter<'_>],
        retry: Retry,
    ) -> Result<Vec<Row>, StoreError> {
        let attempts = async {
            let mut attempt = 0;
            loop {
                let failure = match self.attempt(name, sql, parameters).await {
                    Ok(rows) => return Ok(rows),
                    Err(failure) => failure,
                };
                let may_repeat =
                    failure.is_rolled_back() || retry == Retry::Always && failure.is_lost();
                if attempt == RETRIES || !may_repeat {
                    return Err(failure.into_store_error(name, &self.server));
                }
                attempt += 1;
                sleep(PAUSE * 4_u32.pow(attempt - 1)).await;
            }
        };
        self.in_time(attempts).await
    }

    async fn attempt(
        &self,
        name: &'static str,
        sql: &str,
        parameters: &[Parameter<'_>],
    ) -> Result<Vec<Row>, Failure> {
        let object = loop {
            match self.pool.get().await {
                Ok(object) => break object,
                Err(PoolError::Backend(error)) => return Err(Failure::unsent(error)),
                // There are no timeouts and hooks of the pool, and it is never closed.
                Err(_) => sleep(PAUSE).await,
            }
        };
        *self
            .statements
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .entry(name)
            .or_default() += 1;
        let mut connection = Connection {
            object: Some(object),
            tls: &self.tls,
            has_sessions: self.has_sessions.load(Ordering::Relaxed),
            is_idle: false,
        };
        let result = match &connection.object {
            Some(object) if connection.has_sessions => {
                query_prepared(object, sql, parameters).await
            }
            Some(object) => object.query_typed(sql, parameters).await,
            None => Ok(Vec::new()),
        };
        let result = result.map_err(Failure::sent);
        connection.is_idle = !matches!(&result, Err(failure) if failure.is_lost());
        result
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Database")
            .field("schema", &self.schema)
            .finish_non_exhaustive()
    }
}

/// A connection in use. If it is dropped in the middle of a statement, it is closed, so that no other
/// call waits for its answer, and a statement of a session is cancelled.
struct Connection<'a> {
    object: Option<Object>,
    tls: &'a MakeRustlsConnect,
    has_sessions: bool,
    is_idle: bool,
}

impl Drop for Connection<'_> {
    fn drop(&mut self) {
        let Some(object) = self.object.take().filter(|_| !self.is_idle) else {
            return;
        };
        let client = Object::take(object);
        if client.is_closed() {
            return;
        }
        // PgBouncer before 1.18 may cancel another client's statement, and before 1.20 may crash.
        let cancel = self.has_sessions.then(|| client.cancel_token());
        let tls = self.tls.clone();
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                let ending = async {
                    if let Some(cancel) = cancel {
                        let _ = cancel.cancel_query(tls).await;
                    }
                    // This waits for the end of the statement, so that its commit is not cut off.
                    let _ = client.batch_execute("").await;
                };
                // Without an answer, the server notices that the connection is closed.
                let _ = timeout(Duration::from_secs(5), ending).await;
            });
        }
    }
}

/// Executes a statement, which is parsed once per connection.
async fn query_prepared(
    object: &Object,
    sql: &str,
    parameters: &[Parameter<'_>],
) -> Result<Vec<Row>, tokio_postgres::Error> {
    let types: Vec<_> = parameters.iter().map(|(_, kind)| kind.clone()).collect();
    let statement = object.prepare_typed_cached(sql, &types).await?;
    let values: Vec<_> = parameters.iter().map(|(value, _)| *value).collect();
    object.query(&statement, &values).await
}

fn last_of(mut rows: Vec<Row>) -> Result<Row, StoreError> {
    rows.pop()
        .ok_or_else(|| StoreError::unavailable("a function of the schema returned nothing"))
}

/// Returns a column of a row.
pub(crate) fn column<'a, T: FromSql<'a>>(row: &'a Row, name: &str) -> Result<T, StoreError> {
    row.try_get(name).map_err(StoreError::corrupt)
}
