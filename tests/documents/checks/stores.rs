//! Holds `docs/stores.md` to the stores: its queries of SQLite run, and it explains all errors of
//! opening and connecting.

use http::{HeaderMap, StatusCode};
use rusqlite::{Connection, OpenFlags};
use tower_async_job_core::{JobId, JobStore, NewJob, Outcome, Principal, StoredResponse};
use tower_async_job_sqlite::SqliteStore;

use crate::sources::read;

/// Returns the statements in the document's blocks of SQL that are for SQLite.
fn queries(document: &str) -> Vec<&str> {
    let (document, _) = document.split_once("\n## PostgreSQL").expect("two parts");
    let blocks = document.split("```sql\n").skip(1);
    let blocks = blocks.map(|block| block.split("```").next().expect("never empty"));
    let statements = blocks.flat_map(|block| block.split(';').map(str::trim));
    statements
        .filter(|statement| !statement.is_empty())
        .collect()
}

/// Stores a job that runs, one that waits, and one that is done with a result in chunks.
async fn fill(store: &SqliteStore) {
    let job = || NewJob::new(JobId::random()).with_principal(Principal::new("owner"));
    store.create(job()).await.expect("room");
    let queued = job().with_start(tower_async_job_core::Start::Queued);
    store.create(queued).await.expect("room");
    let done = job();
    let lease = done.first_lease();
    store.create(done).await.expect("room");
    let body = "x".repeat(1000);
    store
        .write_chunk(&lease, 0, body.into())
        .await
        .expect("room");
    let head = StoredResponse::recorder(StatusCode::OK, &HeaderMap::new(), 0).finish(None);
    let end = Outcome::Streamed {
        head,
        chunks: 1,
        len: 1000,
    };
    store.finish(&lease, end.into()).await.expect("room");
}

#[tokio::test]
async fn every_query_runs_on_a_file_and_finds_something() {
    let document = read("docs/stores.md").expect("the document");
    let queries = queries(&document);
    assert!(queries.len() > 10, "{queries:?}");
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("jobs.db");
    let store = SqliteStore::open(&path).await.expect("a store");
    fill(&store).await;
    // As `sqlite3 -readonly` does, while the store is open.
    let file = Connection::open_with_flags(&path, OpenFlags::SQLITE_OPEN_READ_ONLY);
    let file = file.expect("the file");
    for query in queries {
        let mut statement = file
            .prepare(query)
            .unwrap_or_else(|error| panic!("{query}: {error}"));
        let mut rows = statement.query([]).expect("no parameters");
        let first = rows
            .next()
            .unwrap_or_else(|error| panic!("{query}: {error}"));
        assert!(first.is_some(), "{query}: no row");
    }
}

#[tokio::test]
async fn backups_by_the_documented_statement_have_the_jobs_of_an_open_store() {
    let document = read("docs/stores.md").expect("the document");
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("jobs.db");
    let store = SqliteStore::open(&path).await.expect("a store");
    fill(&store).await;
    let (_, statement) = document
        .split_once("sqlite3 -readonly jobs.db \"VACUUM")
        .expect("the command");
    let statement = statement.split('"').next().expect("never empty");
    let backup = directory.path().join("backup.db");
    let statement = statement.replace("backup.db", backup.to_str().expect("text"));
    let file = Connection::open_with_flags(&path, OpenFlags::SQLITE_OPEN_READ_ONLY);
    let file = file.expect("the file");
    file.execute_batch(&format!("VACUUM {statement}"))
        .expect("a backup");
    drop(store);
    drop(SqliteStore::open(&backup).await.expect("a store"));
    let jobs = "SELECT count(*) FROM overview";
    let restored = Connection::open(&backup).expect("the backup");
    let jobs: u32 = restored
        .query_row(jobs, [], |row| row.get(0))
        .expect("jobs");
    assert_eq!(jobs, 3);
}

/// Returns the texts of the error of a store, with values for their parameters.
fn messages(store: &str, values: &[(&str, &str)]) -> Vec<String> {
    let source = read(&format!("crates/tower-async-job-{store}/src/error.rs"));
    let source = source.expect("the source");
    let begin = "Error {\n    fn fmt(";
    let (_, display) = source.split_once(begin).expect("the messages");
    let display = display.split("\nimpl ").next().expect("never empty");
    let texts = display.split('"').skip(1).step_by(2);
    let fill = |text: &str| {
        let text = words(&text.replace("\\\n", ""));
        let replace = |text: String, (from, to): &(&str, &str)| text.replace(from, to);
        values.iter().fold(text, replace)
    };
    texts.map(fill).collect()
}

/// Returns a text in one line.
fn words(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn every_error_of_opening_or_connecting_is_explained() {
    let document = read("docs/stores.md").expect("the document");
    let sqlite = [
        ("{path}", "jobs.db"),
        ("{found}", "2"),
        ("{known}", "1"),
        ("{}", "3.45.0"),
    ];
    let postgres = [
        ("{server}", "app@db.internal:5432/app"),
        ("{schema:?}", "\"tower_async_job\""),
        ("{object}", "\"turns\" in schema \"tower_async_job\""),
        ("{reason}", "…"),
        ("{version}", "12"),
        ("{encoding}", "SQL_ASCII"),
        ("{setting}", "fsync"),
        ("{found}", "2"),
        ("{known}", "1"),
    ];
    let redis = [
        ("{server}", "redis.internal:6379"),
        ("{what}", "`ZADD` on keys such as `{jobs:events}`"),
        ("{policy}", "allkeys-lru"),
        ("{found}", "`appendonly` is `no`"),
        ("{name}", "shop"),
        ("{version}", "6.2"),
    ];
    let messages = [
        messages("sqlite", &sqlite),
        messages("postgres", &postgres),
        messages("redis", &redis),
    ]
    .concat();
    let paragraphs: Vec<String> = document
        .split("\n\n")
        .filter(|paragraph| paragraph.starts_with("> "))
        .map(|paragraph| words(&paragraph.replace("\n> ", " ")[2..]))
        .collect();
    assert_eq!(paragraphs.len(), messages.len(), "{paragraphs:?}");
    for message in messages {
        assert!(
            paragraphs.contains(&message),
            "{message:?} is not explained"
        );
    }
}
