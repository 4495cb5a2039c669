//! Tests whose services are missing.

use std::{
    env,
    process::{Command, Output},
};

use test_services::{Redis, available};

#[test]
#[ignore = "run by other tests as a process of its own"]
fn test_without_its_service() {
    let Some(valkey) = available(Redis::valkey()) else {
        return;
    };
    drop(valkey);
}

/// Runs the test above with an empty cache.
fn run(required: &str) -> (Output, String) {
    let directory = tempfile::tempdir().unwrap();
    let output = Command::new(env::current_exe().unwrap())
        .args(["test_without_its_service", "--exact", "--ignored"])
        .env("CARGO_TARGET_DIR", directory.path())
        .env("HTTP_POLLING_REQUIRE_SERVICES", required)
        .output()
        .unwrap();
    let text = [&output.stdout[..], &output.stderr].concat();
    let text = String::from_utf8(text).unwrap();
    (output, text)
}

#[test]
fn missing_services_are_reported_with_the_remedy() {
    let (output, text) = run("0");
    assert!(output.status.success(), "{text}");
    assert!(text.contains("not run: "), "{text}");
}

#[test]
fn missing_services_fail_tests_where_they_are_required() {
    let (output, text) = run("1");
    assert!(!output.status.success(), "{text}");
    assert!(text.contains("not run: "), "{text}");
}
