//! The sources of the workspace, and the tests in them.

use std::{fs, path::PathBuf};

pub(crate) fn root() -> PathBuf {
    let package = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    package
        .ancestors()
        .nth(2)
        .expect("tests/documents")
        .to_owned()
}

/// Reads a file by its path below the root of the workspace.
pub(crate) fn read(path: &str) -> Result<String, String> {
    fs::read_to_string(root().join(path)).map_err(|error| format!("{path}: {error}"))
}

/// Says what is wrong if a source has no test of this name that runs.
pub(crate) fn check(source: &str, function: &str) -> Result<(), &'static str> {
    let lines: Vec<&str> = source.lines().map(str::trim).collect();
    let line = lines
        .iter()
        .position(|line| {
            let line = line.strip_prefix("async ").unwrap_or(line);
            line.strip_prefix("fn ")
                .and_then(|line| line.strip_prefix(function))
                .is_some_and(|rest| rest.starts_with('('))
        })
        .ok_or("has no such function")?;
    let attributes = || {
        let before = lines[..line].iter().rev();
        before.take_while(|line| !line.is_empty() && **line != "}")
    };
    let is_test = |line: &&str| line.starts_with("#[test]") || line.starts_with("#[tokio::test");
    if !attributes().any(is_test) {
        return Err("has that function, which is no test");
    }
    if attributes().any(|line| line.starts_with("#[ignore")) {
        return Err("has that test, which is ignored");
    }
    Ok(())
}

#[test]
fn functions_that_are_no_tests_are_noticed() {
    let source = "#[test]\nfn a() {}\n\nfn b() {}\n\n#[test]\n#[ignore]\nfn c() {}\n";
    assert_eq!(check(source, "a"), Ok(()));
    for function in ["b", "c", "d", ""] {
        assert!(check(source, function).is_err(), "{function}");
    }
}
