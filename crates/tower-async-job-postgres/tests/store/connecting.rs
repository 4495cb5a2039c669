//! Servers that the store refuses, and encrypted connections.

use std::time::Duration;

use test_services::{PgBouncer, Postgres, Proxy, available};
use tokio::time::timeout;
use tokio_postgres::NoTls;
use tower_async_job_postgres::{ConnectError, PostgresStore};

use crate::support::{BOUNCER, Place, SYSTEM};

async fn refused(url: &str) -> ConnectError {
    PostgresStore::connect(url)
        .await
        .expect_err("the server must be refused")
}

/// Returns the URL of another database.
fn in_database(place: &Place, name: &str) -> String {
    let (server, _) = place.url.rsplit_once('/').unwrap();
    format!("{server}/{name}")
}

#[tokio::test]
async fn settings_that_lose_commits_are_refused() {
    let Some(place) = Place::of_system() else {
        return;
    };
    let client = place.client().await;
    let sql = "CREATE ROLE lax SUPERUSER LOGIN; ALTER ROLE lax SET synchronous_commit = off";
    client.batch_execute(sql).await.unwrap();
    let error = refused(&place.url.replace("postgres@", "lax@")).await;
    assert!(error.is_not_durable(), "{error}");
    assert!(error.to_string().contains("synchronous_commit"), "{error}");
}

#[tokio::test]
async fn a_server_without_fsync_is_refused() {
    let Some(server) = available(Postgres::start()) else {
        return;
    };
    server.setting("fsync", "off");
    server.restart();
    let error = refused(&server.url()).await;
    assert!(
        error.is_not_durable() && error.to_string().contains("fsync"),
        "{error}"
    );
}

#[tokio::test]
async fn roles_and_databases_that_may_only_read_or_do_not_exist_are_refused() {
    let Some(place) = Place::of_system() else {
        return;
    };
    let client = place.client().await;
    let sql = "CREATE ROLE reader SUPERUSER LOGIN; \
               ALTER ROLE reader SET default_transaction_read_only = on";
    client.batch_execute(sql).await.unwrap();
    let error = refused(&place.url.replace("postgres@", "reader@")).await;
    assert!(error.is_read_only(), "{error}");
    let error = refused(&in_database(&place, "missing")).await;
    assert!(error.is_database_missing(), "{error}");
    let error = refused(&place.url.replace("postgres@", "nobody_known@")).await;
    assert!(error.is_authentication(), "{error}");
    if let Some(bouncer) = &*BOUNCER {
        let error = refused(&bouncer.url().replace("postgres@", "nobody_known@")).await;
        assert!(error.is_authentication(), "{error}: {error:?}");
    }
    let error = refused("postgres://one@127.0.0.1:1,[::1]:2/x").await;
    assert!(error.is_unreachable(), "{error}");
    assert!(
        error.to_string().contains("`one@127.0.0.1:1,[::1]:2/x`"),
        "{error}"
    );
    let error = refused(&format!("{}?sslmode=sometimes", place.url)).await;
    assert!(error.is_url_malformed(), "{error}");
}

#[tokio::test]
async fn a_wrong_password_is_refused() {
    let Some(server) = available(Postgres::builder().password("secret").start()) else {
        return;
    };
    let url = server.url();
    crate::add(&PostgresStore::connect(&url).await.unwrap()).await;
    let error = refused(&url.replace("secret", "guessed")).await;
    assert!(error.is_authentication(), "{error}");
    assert!(!format!("{error} {error:?}").contains("guessed"));
    let named = format!("postgres@{}/postgres", server.address());
    assert!(error.to_string().contains(&named), "{error}");
    assert!(format!("{error:?}").contains(&named), "{error:?}");
}

#[tokio::test]
async fn an_encoding_other_than_utf8_is_refused() {
    let Some(place) = Place::of_system() else {
        return;
    };
    let client = place.client().await;
    let sql = "CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0";
    client.batch_execute(sql).await.unwrap();
    let error = refused(&in_database(&place, "latin")).await;
    assert!(error.is_unsupported_server(), "{error}");
}

#[tokio::test]
async fn minimal_grants_suffice_and_without_them_the_error_says_so() {
    let Some(place) = Place::of_system() else {
        return;
    };
    drop(place.builder().connect().await.unwrap());
    let client = place.client().await;
    let schema = &place.schema;
    client
        .batch_execute("CREATE ROLE modest LOGIN")
        .await
        .unwrap();
    let mut modest = place.clone();
    modest.url = place.url.replace("postgres@", "modest@");
    modest.direct = modest.url.clone();
    let error = modest.builder().migrate(false).connect().await.unwrap_err();
    assert!(error.is_permission_denied(), "{error}");
    let grants = format!(
        "GRANT USAGE ON SCHEMA {schema} TO modest; \
         GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {schema} TO modest; \
         GRANT SELECT, UPDATE ON ALL SEQUENCES IN SCHEMA {schema} TO modest"
    );
    client.batch_execute(&grants).await.unwrap();
    let store = modest.builder().migrate(false).connect().await.unwrap();
    crate::add(&store).await;
    // Some databases grant less to all roles than others.
    let execute = format!("EXECUTE ON ALL FUNCTIONS IN SCHEMA {schema}");
    let revoke = format!("REVOKE {execute} FROM PUBLIC");
    client.batch_execute(&revoke).await.unwrap();
    let error = modest.builder().migrate(false).connect().await.unwrap_err();
    assert!(error.is_permission_denied(), "{error}");
    let grant = format!("GRANT {execute} TO modest");
    client.batch_execute(&grant).await.unwrap();
    modest.builder().migrate(false).connect().await.unwrap();
}

#[tokio::test]
async fn connections_are_encrypted_and_certificates_verified_as_the_url_demands() {
    let Some(server) = available(Postgres::builder().encrypted().start()) else {
        return;
    };
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), server.certificate().unwrap()).unwrap();
    let roots = file.path().display();
    let url = server.url();
    for mode in [
        "sslmode=prefer".to_owned(),
        "sslmode=require".to_owned(),
        format!("sslmode=verify-ca&sslrootcert={roots}"),
        format!("sslmode=verify-full&sslrootcert={roots}"),
    ] {
        let store = PostgresStore::connect(format!("{url}?{mode}")).await;
        let store = store.unwrap_or_else(|error| panic!("{mode}: {error}: {error:?}"));
        crate::add(&store).await;
    }
    let encrypted = server.query(
        "SELECT count(*) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) \
         WHERE application_name = 'tower-async-job' AND NOT ssl",
    );
    assert_eq!(encrypted.trim(), "0");
    // The certificate is for another name, which matters only to the last mode.
    let named = url.replace("127.0.0.1", "jobs.example");
    let of_mode = |mode| format!("{named}?hostaddr=127.0.0.1&sslmode={mode}&sslrootcert={roots}");
    PostgresStore::connect(of_mode("verify-ca")).await.unwrap();
    let error = refused(&of_mode("verify-full")).await;
    assert!(error.is_tls(), "{error}: {error:?}");
    // The roots of the system do not have it.
    let error = refused(&format!("{url}?sslmode=verify-full")).await;
    assert!(
        error.is_tls() || error.is_url_malformed(),
        "{error}: {error:?}"
    );
}

#[tokio::test]
async fn an_address_without_a_scheme_is_as_strict_as_it_says() {
    let Some(place) = Place::of_system() else {
        return;
    };
    let port = SYSTEM.as_ref().unwrap().address().port();
    let address = format!("host=127.0.0.1 port={port} user=postgres sslmode=require");
    let error = refused(&address).await;
    assert!(error.is_tls(), "{error}");
    let address = address.replace("require", "disable");
    let store = PostgresStore::builder(address).schema(&place.schema);
    crate::add(&store.connect().await.unwrap()).await;
}

#[tokio::test]
async fn s23_a_standby_is_refused_however_it_is_addressed() {
    let Some(primary) = available(Postgres::start()) else {
        return;
    };
    let standby = primary.standby().unwrap();
    for parameters in ["", "?target_session_attrs=read-write"] {
        let error = refused(&format!("{}{parameters}", standby.url())).await;
        assert!(error.is_read_only(), "{error}: {error:?}");
    }
}

#[tokio::test]
async fn a_server_without_a_free_connection_is_named_as_such() {
    let Some(server) = available(Postgres::start()) else {
        return;
    };
    server.query("CREATE ROLE crowded LOGIN CONNECTION LIMIT 0");
    let error = refused(&server.url().replace("postgres@", "crowded@")).await;
    assert!(error.is_unreachable(), "{error}: {error:?}");
    assert!(error.to_string().contains("max_connections"), "{error}");
}

#[tokio::test]
async fn a_server_that_hangs_is_refused_in_time() {
    let Some(place) = Place::of_system() else {
        return;
    };
    let proxy = Proxy::start(SYSTEM.as_ref().unwrap().address()).await;
    proxy.half_open();
    let url = format!("postgres://postgres@{}/postgres", proxy.address());
    let builder = PostgresStore::builder(url).schema(&place.schema);
    let builder = builder.operation_timeout(Duration::from_millis(300));
    let connecting = timeout(Duration::from_secs(5), builder.connect());
    let error = connecting.await.unwrap().unwrap_err();
    assert!(error.is_unreachable(), "{error}: {error:?}");
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert!(source.contains("no answer within"), "{source}");
}

#[tokio::test]
async fn s24_refusals_of_pgbouncer_say_the_reason() {
    let Some(server) = available(Postgres::builder().password("secret").start()) else {
        return;
    };
    let Some(bouncer) = available(PgBouncer::start(&server)) else {
        return;
    };
    // It has no password for the server.
    let error = refused(&bouncer.url()).await;
    assert!(error.is_authentication(), "{error}: {error:?}");
    let Some(place) = Place::behind_bouncer() else {
        return;
    };
    let error = refused(&in_database(&place, "missing")).await;
    assert!(error.is_database_missing(), "{error}: {error:?}");
    let console = in_database(&place, "pgbouncer");
    let (client, connection) = tokio_postgres::connect(&console, NoTls).await.unwrap();
    tokio::spawn(connection);
    let crowded = "SET max_client_conn = 1";
    client.simple_query(crowded).await.unwrap();
    let error = refused(&place.url).await;
    assert!(error.is_unreachable(), "{error}: {error:?}");
    assert!(error.to_string().contains("max_client_conn"), "{error}");
}
