//! Private PostgreSQL servers.

use std::{fs, process::Command};

use test_services::{Postgres, available};

#[test]
fn restarts_and_crashes_keep_what_was_committed() {
    let Some(postgres) = available(Postgres::start()) else {
        return;
    };
    postgres.query("CREATE TABLE a (b int); INSERT INTO a VALUES (1)");
    postgres.restart();
    postgres.query("INSERT INTO a VALUES (2)");
    postgres.crash();
    assert_eq!(postgres.query("SELECT b FROM a ORDER BY b"), "1\n2");
    postgres.stop();
    postgres.start_again();
    assert_eq!(postgres.query("SELECT count(*) FROM a"), "2");
}

#[test]
fn settings_take_effect() {
    let Some(postgres) = available(Postgres::start()) else {
        return;
    };
    assert_eq!(postgres.query("SHOW fsync"), "on");
    // Needs a reload.
    postgres.setting("fsync", "off");
    assert_eq!(postgres.query("SHOW fsync"), "off");
    // Needs a restart.
    postgres.setting("max_connections", "20");
    assert_eq!(postgres.query("SHOW max_connections"), "20");
}

#[test]
fn passwords_and_encryption_are_demanded() {
    let postgres = Postgres::builder().password("secret").encrypted().start();
    let Some(postgres) = available(postgres) else {
        return;
    };
    let encrypted = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
    assert_eq!(postgres.query(encrypted), "t");
    let certificate = tempfile::NamedTempFile::new().unwrap();
    fs::write(&certificate, postgres.certificate().unwrap()).unwrap();
    let verified = format!(
        "{}?sslmode=verify-full&sslrootcert={}",
        postgres.url(),
        certificate.path().display()
    );
    assert_eq!(connect(&verified), Ok(()));
    let plain = format!("{}?sslmode=disable", postgres.url());
    let error = connect(&plain).unwrap_err();
    assert!(error.contains("no encryption"), "{error}");
    let wrong = postgres.url().replace("secret", "guess");
    let error = connect(&wrong).unwrap_err();
    assert!(error.contains("password authentication failed"), "{error}");
}

fn connect(url: &str) -> Result<(), String> {
    let output = Command::new("psql")
        .args(["-XAtqwc", "SELECT", url])
        .output()
        .unwrap();
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    output.status.success().then_some(()).ok_or(error)
}

#[test]
fn older_and_newer_versions_start() {
    for version in [13, 15, 18] {
        let Some(postgres) = available(Postgres::version(version)) else {
            continue;
        };
        let found = postgres.query("SHOW server_version");
        assert!(found.starts_with(&version.to_string()), "{found}");
    }
}
