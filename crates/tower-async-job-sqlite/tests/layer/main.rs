//! Nodes and processes that share a file: the tests of all durable stores, and those of the file
//! alone.
#![cfg(unix)]

mod counted;
mod data;

use data::SqliteNodes;

test_nodes::layer_tests!(SqliteNodes);

#[tokio::test]
async fn files_are_for_their_owner_alone_whatever_the_umask() {
    use std::{env, fs, os::unix::fs::PermissionsExt, process::Command};

    use test_nodes::{Child, Nodes};

    let data = SqliteNodes::create().await.unwrap();
    let mut shell = Command::new("sh");
    shell.args(["-c", r#"umask 0; exec "$0" "$@""#]);
    let binary = env::current_exe().unwrap();
    let mut child = Child::start_by(shell.arg(binary), "offer", &data);
    child.send("");
    assert!(child.word().is_some() && child.word().is_some());
    let files = fs::read_dir(data.directory()).unwrap();
    let modes = files.map(|file| file.unwrap().metadata().unwrap().permissions().mode());
    let modes: Vec<_> = modes.map(|mode| mode & 0o777).collect();
    assert_eq!(modes, [0o600; 3]);
}
