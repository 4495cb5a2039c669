//! The commands of `docs/stores.md`, as they stand there.

use std::{path::Path, process::Command};

use tower_async_job_core::{Detail, JobStore, RecordedOutcome};
use tower_async_job_postgres::PostgresStore;

use crate::support::SYSTEM;

/// The name of the database in the document.
const DATABASE: &str = "app";

/// Returns the block of this language that follows a heading.
fn block(heading: &str, language: &str) -> String {
    let document = include_str!("../../../../docs/stores.md");
    let (_, section) = document.split_once(heading).expect("the heading");
    let (_, block) = section
        .split_once(&format!("```{language}\n"))
        .expect("the block");
    block.split("```").next().expect("never empty").to_owned()
}

/// Runs commands as a role, and returns what they print. Fails if one of them does.
fn run(commands: &str, role: &str, directory: &Path) -> String {
    let port = SYSTEM.as_ref().unwrap().port().to_string();
    let output = Command::new("sh")
        .args(["-euc", commands])
        .current_dir(directory)
        .env("PGHOST", "127.0.0.1")
        .env("PGPORT", port)
        .env("PGUSER", role)
        .env("PGDATABASE", DATABASE)
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{commands}\n{errors}");
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn documented_commands_show_jobs_and_bring_a_backup_back() {
    let Some(server) = &*SYSTEM else { return };
    let url = server.create_database(DATABASE);
    let store = PostgresStore::connect(&url).await.unwrap();
    let done = crate::add(&store).await;
    store.finish(&done, crate::done(9).into()).await.unwrap();
    let running = crate::add(&store).await;

    // As a role that may see no more than the document says.
    server.query("CREATE ROLE monitor LOGIN");
    let grants = block("## PostgreSQL: monitoring", "sql");
    server.query_in(DATABASE, &grants);
    let directory = tempfile::tempdir().unwrap();
    let monitored = block("## PostgreSQL: monitoring", "sh");
    let shown = run(&monitored, "monitor", directory.path());
    for found in ["running", "done", "jobs", "sync_state", "client_addr"] {
        assert!(shown.contains(found), "{found}: {shown}");
    }
    let peers = shown.rsplit_once("client_addr").unwrap().1;
    assert!(peers.contains("127.0.0.1"), "{shown}");
    for secret in ["jobs", "requests"] {
        let refused =
            format!("psql -c 'TABLE tower_async_job.{secret}' 2>&1 | grep 'permission denied'");
        run(&refused, "monitor", directory.path());
    }

    let backup = block("## PostgreSQL: failover and backup", "sh");
    let (dump, restore) = backup.split_once("psql").unwrap();
    run(dump, "postgres", directory.path());
    store.cancel(&running.id).await.unwrap();
    drop(store);
    let restore = format!("psql{restore}");
    run(&restore, "postgres", directory.path());
    let store = PostgresStore::connect(&url).await.unwrap();
    let record = store.read(&done.id, Detail::Full).await.unwrap().unwrap();
    let Some(RecordedOutcome::Response(response)) = record.outcome else {
        panic!("{record:?}");
    };
    assert_eq!(response.decode().unwrap().body, "xxxxxxxxx");
    // It was cancelled after the backup.
    let record = store.read(&running.id, Detail::Status).await;
    assert!(record.unwrap().unwrap().state.is_pending());
    assert!(store.renew(&[running]).await.unwrap()[0].is_held());
}
