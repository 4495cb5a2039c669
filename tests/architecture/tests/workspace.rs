//! The crates of the workspace.

use std::{env, fs, path::Path, process::Command};

use architecture::{Sources, check};
use serde_json::Value;

#[test]
fn imports_go_down_and_in_no_circle() {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let crates = fs::read_dir(package.join("../../crates")).unwrap();
    let mut folders: Vec<_> = crates.map(|folder| folder.unwrap().path()).collect();
    folders.push(package.to_owned());
    let mut violations = Vec::new();
    for folder in folders {
        let name = folder.file_name().unwrap().to_string_lossy().into_owned();
        let reports = check(&Sources::read(&folder).unwrap());
        assert!(!reports.is_empty(), "{name} has no root");
        for violation in reports.into_iter().flat_map(|report| report.violations) {
            violations.push(format!("{name}: {violation}"));
        }
    }
    assert!(
        violations.is_empty(),
        "{} violations of the rules in tests/architecture/src/lib.rs; `cargo run -p architecture \
         -- CRATE` prints those of one crate:\n{}",
        violations.len(),
        violations.join("\n"),
    );
}

#[test]
fn no_dependency_needs_a_newer_rust_than_the_workspace() {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version=1", "--locked"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "cargo metadata: {errors}");
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let ours = numbers(env!("CARGO_PKG_RUST_VERSION"));
    let packages = metadata["packages"].as_array().unwrap();
    let newer: Vec<String> = packages
        .iter()
        .filter_map(|package| {
            let needed = package["rust_version"].as_str()?;
            let named = format!("{} {}: {needed}", package["name"], package["version"]);
            (numbers(needed) > ours).then_some(named)
        })
        .collect();
    assert!(
        newer.is_empty(),
        "dependencies need a newer Rust than Cargo.toml's rust-version; take older versions of \
         them, or raise it: {newer:#?}"
    );
}

/// The first two numbers of a version.
fn numbers(version: &str) -> Vec<u32> {
    let numbers = version.split('.').take(2);
    numbers.map(|number| number.parse().unwrap()).collect()
}
