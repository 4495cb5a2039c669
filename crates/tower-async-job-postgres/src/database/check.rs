//! Checks of a server before it is used.

use std::time::Duration;

use tokio::time::timeout;
use tokio_postgres::types::{ToSql, Type};

use super::Address;
use crate::{error::ConnectError, schema::migrate};

/// The oldest version of a server, as `server_version_num` has it.
const OLDEST: i32 = 130_000;

const SERVER: &str = "SELECT current_setting('server_version_num')::integer, \
     current_setting('server_encoding'), current_setting('fsync'), \
     current_setting('synchronous_commit'), \
     pg_is_in_recovery() OR current_setting('transaction_read_only') = 'on'";

/// The objects of a schema on which the role lacks privileges. Nodes only read `store` and
/// `overview`.
const PRIVILEGES: &str = "SELECT c.relname::text FROM pg_class AS c \
     JOIN pg_namespace AS n ON n.oid = c.relnamespace \
     WHERE n.nspname = $1 AND NOT CASE \
         WHEN NOT has_schema_privilege(n.oid, 'USAGE') THEN false \
         WHEN c.relkind = 'S' THEN has_sequence_privilege(c.oid, 'SELECT') \
             AND has_sequence_privilege(c.oid, 'UPDATE') \
         WHEN c.relkind <> 'r' THEN true \
         WHEN c.relname = 'store' THEN has_table_privilege(c.oid, 'SELECT') \
         ELSE has_table_privilege(c.oid, 'SELECT') AND has_table_privilege(c.oid, 'INSERT') \
             AND has_table_privilege(c.oid, 'UPDATE') AND has_table_privilege(c.oid, 'DELETE') \
     END \
     UNION ALL SELECT p.proname::text FROM pg_proc AS p \
     JOIN pg_namespace AS n ON n.oid = p.pronamespace \
     WHERE n.nspname = $1 AND NOT has_function_privilege(p.oid, 'EXECUTE') \
     ORDER BY 1 LIMIT 1";

/// Connects to a server once, checks that it keeps what it acknowledges, and brings the schema to
/// the latest version, or only checks that.
pub(crate) async fn check(
    address: &Address,
    schema: &str,
    migrates: bool,
    limit: Duration,
) -> Result<(), ConnectError> {
    let connecting = timeout(limit, address.config.connect(address.tls.clone()));
    let connected = connecting.await.map_err(|_| ConnectError::timed_out())?;
    let (mut client, connection) = connected.map_err(ConnectError::of_connect)?;
    let connection = tokio::spawn(connection);
    let checks = async {
        let checked = timeout(limit, check_server(&client, schema)).await;
        checked.map_err(|_| ConnectError::timed_out())??;
        migrate(&mut client, schema, migrates, limit * 6).await?;
        let key: &(dyn ToSql + Sync) = &schema;
        let missing = client
            .query_typed_opt(PRIVILEGES, &[(key, Type::TEXT)])
            .await;
        match missing.map_err(|error| ConnectError::of_start(schema, error))? {
            Some(row) => {
                let name: String = row.get(0);
                Err(ConnectError::privileges(format!(
                    "{name:?} in schema {schema:?}"
                )))
            }
            None => Ok(()),
        }
    };
    // Other nodes may be migrating.
    let checked = timeout(limit * 12, checks).await;
    connection.abort();
    checked.map_err(|_| ConnectError::timed_out())?
}

async fn check_server(client: &tokio_postgres::Client, schema: &str) -> Result<(), ConnectError> {
    let row = client.query_typed_one(SERVER, &[]).await;
    let row = row.map_err(|error| ConnectError::of_start(schema, error))?;
    let version: i32 = row.get(0);
    if version < OLDEST {
        return Err(ConnectError::version(version));
    }
    let encoding: String = row.get(1);
    if encoding != "UTF8" {
        return Err(ConnectError::encoding(encoding));
    }
    for (column, setting) in [(2, "fsync"), (3, "synchronous_commit")] {
        let value: String = row.get(column);
        if value == "off" {
            return Err(ConnectError::not_durable(setting));
        }
    }
    match row.get(4) {
        true => Err(ConnectError::read_only()),
        false => Ok(()),
    }
}
