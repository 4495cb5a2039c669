//! Holds `docs/stores.md` to the servers of stores: its commands run, and find something.

use std::{
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use test_services::{Postgres, Redis, available};
use tower_async_job_core::{
    Detail, JobId, JobStore, NewJob, Principal, ReplayedRequest, Start, StoredRequest,
};
use tower_async_job_postgres::PostgresStore;
use tower_async_job_redis::RedisStore;

use crate::sources::read;

/// Returns the first block in this language after a heading of the document.
fn block(heading: &str, language: &str) -> String {
    let document = read("docs/stores.md").expect("the document");
    let (_, section) = document.split_once(heading).expect("the heading");
    let section = section.split("\n## ").next().expect("never empty");
    let (_, block) = section
        .split_once(&format!("```{language}\n"))
        .expect("a block");
    block.split("```").next().expect("never empty").to_owned()
}

/// Returns the commands of a block, some of which have several lines.
fn commands(block: &str) -> Vec<String> {
    let mut commands: Vec<String> = Vec::new();
    for line in block.lines() {
        match commands.last_mut() {
            Some(command) if line.starts_with(' ') => *command += line,
            _ => commands.push(line.to_owned()),
        }
    }
    commands
}

/// Runs a command with these variables. Returns what it prints, and fails if a part of it fails.
fn run(command: &str, directory: &Path, variables: &[(&str, &str)]) -> String {
    let mut shell = Command::new("bash");
    shell.args(["-euo", "pipefail", "-c", command]);
    let output = shell
        .current_dir(directory)
        .envs(variables.iter().copied())
        .output()
        .expect("a shell");
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command}: {printed}{errors}");
    assert!(!printed.contains("binary file matches"), "{command}");
    printed
}

/// Offers a job to workers, and returns its id.
async fn offer(store: &dyn JobStore) -> JobId {
    let request = StoredRequest::encode(&ReplayedRequest::default());
    let job = NewJob::new(store.new_id(None, None)).with_request(request);
    let id = job.id;
    let offered = job
        .with_principal(Principal::new("owner"))
        .with_start(Start::Offered);
    store.create(offered).await.expect("room");
    id
}

#[tokio::test]
async fn commands_for_postgres_run_as_the_role_that_monitors_and_a_dump_returns() {
    let Some(server) = available(Postgres::start()) else {
        return;
    };
    let url = server.create_database("app");
    let store = PostgresStore::connect(&url).await.expect("a store");
    let job = offer(&store).await;
    let directory = tempfile::tempdir().expect("a directory");
    let port = server.port().to_string();
    let as_role = |command: &str, role: &str| {
        let variables = [
            ("PGHOST", "127.0.0.1"),
            ("PGPORT", &port),
            ("PGDATABASE", "app"),
            ("PGUSER", role),
        ];
        run(command, directory.path(), &variables)
    };

    server.query_in("app", "CREATE ROLE monitor LOGIN");
    server.query_in("app", &block("\n## PostgreSQL: monitoring", "sql"));
    let monitoring = commands(&block("\n## PostgreSQL: monitoring", "sh"));
    assert!(monitoring.len() > 5, "{monitoring:?}");
    for command in &monitoring {
        let printed = as_role(command, "monitor");
        // No transaction is open for long, and the server has no standby.
        let is_empty = command.contains("xact_start") || command.contains("replication");
        assert_eq!(
            printed.contains("(0 rows)"),
            is_empty,
            "{command}: {printed}"
        );
    }

    drop(store);
    as_role(&block("\n## PostgreSQL: failover", "sh"), "postgres");
    let store = PostgresStore::connect(&url).await.expect("a store");
    let record = store.read(&job, Detail::Status).await.expect("readable");
    assert!(record.is_some());
}

#[tokio::test]
async fn commands_for_redis_find_something() {
    let slow = Redis::builder().setting("slowlog-log-slower-than", "0");
    let Some(server) = available(slow.start()) else {
        return;
    };
    let store = RedisStore::connect(&server.url()).await.expect("a store");
    offer(&store).await;
    // The event is sent after the answer.
    let begun = Instant::now();
    while server.command(&["EXISTS", "{jobs:events}"]) != "1" {
        assert!(begun.elapsed() < Duration::from_secs(20), "no event");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let directory = tempfile::tempdir().expect("a directory");
    let here = format!(
        "redis-cli() {{ command redis-cli -p {} \"$@\"; }}\n",
        server.port()
    );
    let monitoring = commands(&block("\n## Redis: monitoring", "sh"));
    assert!(monitoring.len() > 3, "{monitoring:?}");
    for command in monitoring {
        let printed = run(&(here.clone() + &command), directory.path(), &[]);
        assert!(!printed.trim().is_empty(), "{command}");
    }
}
