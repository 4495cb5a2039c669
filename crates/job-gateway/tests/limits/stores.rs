//! Stores that cannot be opened.

use std::process::Stdio;

use crate::support::{command, soon};

/// Returns what a gateway with this store tells before it ends.
async fn told(store: &str) -> String {
    let arguments = [
        "--upstream",
        "http://127.0.0.1:9",
        "--listen",
        "127.0.0.1:0",
    ];
    let mut command = command(arguments);
    command.args(["--store", store]).stderr(Stdio::piped());
    let ended = soon(command.output()).await.unwrap();
    assert!(!ended.status.success());
    assert!(ended.stdout.is_empty());
    String::from_utf8(ended.stderr).unwrap()
}

#[tokio::test]
async fn a_file_that_cannot_be_opened_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("missing/jobs.db").display().to_string();
    let told = told(&format!("sqlite:{path}")).await;
    assert!(told.contains("the store cannot be opened: "), "{told}");
    assert!(told.contains(&path), "{told}");
}

#[tokio::test]
async fn a_store_that_this_build_lacks_is_named() {
    for (url, feature) in [
        ("postgres://db/jobs", "postgres"),
        ("redis://127.0.0.1:9", "redis"),
    ] {
        let told = told(url).await;
        let has = match feature {
            "postgres" => cfg!(feature = "postgres"),
            _ => cfg!(feature = "redis"),
        };
        let lacks = format!("build it with `--features {feature}`");
        assert_eq!(!has, told.contains(&lacks), "{told}");
        assert!(told.contains("the store cannot be opened: "), "{told}");
    }
}
