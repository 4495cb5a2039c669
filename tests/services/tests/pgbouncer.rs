//! PgBouncer before PostgreSQL.

use std::process::Command;

use test_services::{PgBouncer, Postgres, available};

#[test]
fn transactions_pass_before_and_after_a_restart() {
    let Some(postgres) = available(Postgres::start()) else {
        return;
    };
    let Some(bouncer) = available(PgBouncer::start(&postgres)) else {
        return;
    };
    assert_eq!(query(&bouncer.url(), "SELECT 1"), "1");
    let mode = query(&bouncer.url_of("pgbouncer"), "SHOW CONFIG");
    assert!(mode.contains("pool_mode|transaction"), "{mode}");
    bouncer.restart();
    postgres.create_database("other");
    let database = "SELECT current_database()";
    assert_eq!(query(&bouncer.url_of("other"), database), "other");
}

fn query(url: &str, sql: &str) -> String {
    let output = Command::new("psql")
        .args(["-XAtqwc", sql, url])
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}
