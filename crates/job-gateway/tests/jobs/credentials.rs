//! Jobs with credentials that are run again.

use std::fs;

use rustix::process::Signal;

use crate::{
    again::{Twice, take},
    support::token::{jwt, keys, token},
};

/// Credentials that a client sends.
const COOKIE: &str = "session=4be1c0ffee";
const KEY: &str = "key-4be1c0ffee";

/// Credentials for a proxy, which are not sent on.
const OF_PROXY: &str = "proxy-4be1c0ffee";

/// Runs a job twice whose route treats credentials so. Returns the requests, what the store has of the
/// first one, and its token.
async fn run(credentials: &str) -> (Vec<String>, Vec<String>, Vec<u8>, String) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("keys.json");
    fs::write(&file, keys(7)).unwrap();
    let token = token("ada", 300);
    let twice = Twice {
        routes: format!(
            "replay = \"all\"\ncredentials = \"{credentials}\"\n{}\n",
            jwt(&file)
        ),
        poll: vec![("authorization", token.clone())],
        signal: Signal::TERM,
        folder,
    };
    let request = format!(
        "POST /report HTTP/1.1\r\nhost: a\r\nconnection: close\r\nauthorization: {token}\r\n\
        cookie: {COOKIE}\r\nx-api-key: {KEY}\r\nproxy-authorization: {OF_PROXY}\r\n\
        content-length: 14\r\n\r\n{{\"pages\": 300}}"
    );
    let (mut sent, mut again) = twice.run(&request).await;
    for request in [&mut sent, &mut again] {
        assert_eq!(take(request, "job-principal"), "ada");
    }
    let mut stored = Vec::new();
    for file in fs::read_dir(twice.folder.path()).unwrap() {
        let path = file.unwrap().path();
        if path.display().to_string().contains("jobs.db") {
            stored.extend(fs::read(path).unwrap());
        }
    }
    (sent, again, stored, token)
}

fn has(stored: &[u8], text: &str) -> bool {
    stored
        .windows(text.len())
        .any(|part| part == text.as_bytes())
}

#[tokio::test]
async fn credentials_that_are_dropped_are_neither_stored_nor_sent_again() {
    let (mut sent, again, stored, token) = run("drop").await;
    for (name, value) in [
        ("authorization", &*token),
        ("cookie", COOKIE),
        ("x-api-key", KEY),
    ] {
        assert_eq!(take(&mut sent, name), value);
        assert!(
            !again.iter().any(|line| line.starts_with(name)),
            "{again:?}"
        );
        assert!(!has(&stored, value), "{name} is stored");
    }
    // The rest of the request is.
    assert!(has(&stored, "{\"pages\": 300}"));
}

#[tokio::test]
async fn credentials_that_are_kept_are_sent_again() {
    let (mut sent, mut again, stored, token) = run("keep").await;
    for (name, value) in [
        ("authorization", &*token),
        ("cookie", COOKIE),
        ("x-api-key", KEY),
    ] {
        assert_eq!(take(&mut sent, name), value);
        assert_eq!(take(&mut again, name), value);
        assert!(has(&stored, value), "{name} is not stored");
    }
    assert!(!has(&stored, OF_PROXY));
}
