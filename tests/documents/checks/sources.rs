//! The sources of the workspace, and the tests in them.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// A test that runs.
#[derive(Debug)]
pub(crate) struct Test {
    /// The directory of its package.
    pub(crate) package: String,
    pub(crate) name: String,
}

pub(crate) fn root() -> PathBuf {
    let package = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let root = package.ancestors().nth(2).expect("tests/documents");
    root.to_owned()
}

/// Reads a file by its path below the root of the workspace.
pub(crate) fn read(path: &str) -> Result<String, String> {
    fs::read_to_string(root().join(path)).map_err(|error| format!("{path}: {error}"))
}

/// Returns all tests of the workspace.
pub(crate) fn tests() -> Vec<Test> {
    let mut tests = Vec::new();
    for packages in ["crates", "examples", "tests"] {
        for package in fs::read_dir(root().join(packages)).expect("packages") {
            let path = package.expect("a package").path();
            let package = path.file_name().expect("a name").to_string_lossy();
            let mut add = |source: &str| {
                tests.extend(names(source).into_iter().map(|name| Test {
                    package: package.to_string(),
                    name: name.to_owned(),
                }));
            };
            visit(&path, &mut add).expect("readable sources");
        }
    }
    tests
}

/// Returns the stores that run the tests of nodes, by the last part of the names of their packages.
pub(crate) fn stores_of_nodes() -> Vec<String> {
    let mut stores = Vec::new();
    for package in fs::read_dir(root().join("crates")).expect("packages") {
        let path = package.expect("a package").path();
        let name = path.file_name().expect("a name").to_string_lossy();
        let mut runs = false;
        let mut search = |source: &str| {
            runs |= ["test_nodes::layer_tests!", "test_nodes::tests::<"]
                .iter()
                .any(|call| source.contains(call));
        };
        visit(&path, &mut search).expect("readable sources");
        if runs && let Some(store) = name.strip_prefix("tower-async-job-") {
            stores.push(store.to_owned());
        }
    }
    stores
}

/// Reads all sources below a directory.
fn visit(path: &Path, add: &mut impl FnMut(&str)) -> io::Result<()> {
    for entry in fs::read_dir(path)? {
        let path = entry?.path();
        if path.is_dir() {
            visit(&path, add)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            add(&fs::read_to_string(path)?);
        }
    }
    Ok(())
}

/// Returns the names of the tests in a source: functions that run, and texts that name a trial.
fn names(source: &str) -> Vec<&str> {
    let runs = |(name, run): (_, Result<_, _>)| run.is_ok().then_some(name);
    let mut names: Vec<&str> = functions(source).into_iter().filter_map(runs).collect();
    if source.contains("Trial::") {
        names.extend(source.split('"').skip(1).step_by(2));
    }
    names
}

/// Returns the functions of a source, each with the reason if it is no test that runs.
///
/// A function of a harness is a test of the testkit, one of data alone is a test of nodes: the
/// compiler complains of those that do not run.
fn functions(source: &str) -> Vec<(&str, Result<(), &'static str>)> {
    let lines: Vec<&str> = source.lines().map(str::trim).collect();
    let functions = lines.iter().enumerate().filter_map(|(at, line)| {
        let line = line.strip_prefix("pub(crate) ").unwrap_or(line);
        let line = line.strip_prefix("async ").unwrap_or(line);
        let (name, parameters) = line.strip_prefix("fn ")?.split_once('(')?;
        let is_of_library = |parameters: &str| {
            parameters.starts_with("harness: &dyn Harness")
                || parameters.trim_end_matches([',', ' ', '{']) == "data: &impl Nodes) -> Ran"
        };
        let next = || lines[at + 1..].iter().take(2).copied().collect::<Vec<_>>();
        let is_of_library = is_of_library(parameters)
            || parameters.is_empty() && is_of_library(&next().join(" ").replace(", )", ")"));
        Some((
            name,
            if is_of_library {
                Ok(())
            } else {
                runs(&lines[..at])
            },
        ))
    });
    functions.collect()
}

/// Says why a function after these lines is no test that runs.
fn runs(before: &[&str]) -> Result<(), &'static str> {
    let before = before.iter().rev();
    let mut attributes = before.take_while(|line| !line.is_empty() && **line != "}");
    let is_test = |line: &&str| line.starts_with("#[test]") || line.starts_with("#[tokio::test");
    if !attributes.clone().any(is_test) {
        return Err("has that function, which is no test");
    }
    if attributes.any(|line| line.starts_with("#[ignore")) {
        return Err("has that test, which is ignored");
    }
    Ok(())
}

/// Says what is wrong if a source has no test of this name that runs.
pub(crate) fn check(source: &str, function: &str) -> Result<(), &'static str> {
    let found = functions(source)
        .into_iter()
        .filter(|(name, _)| *name == function)
        .map(|(_, runs)| runs);
    found
        .reduce(Result::or)
        .unwrap_or(Err("has no such function"))
}

#[test]
fn functions_that_are_no_tests_are_noticed() {
    let source = "#[test]\nfn a() {}\n\nfn b() {}\n\n#[test]\n#[ignore]\nfn c() {}\n";
    assert_eq!(check(source, "a"), Ok(()));
    for function in ["b", "c", "d", ""] {
        assert!(check(source, function).is_err(), "{function}");
    }
    assert_eq!(names(source), ["a"]);
    let kit = "pub(crate) async fn a(harness: &dyn Harness) {}\nfn b(\n    harness: &dyn Harness,\n) {}\n";
    assert_eq!(names(kit), ["a", "b"]);
    let nodes = "fn a(data: &impl Nodes) -> Ran {\n}\nfn b(\n    data: &impl Nodes,\n) -> Ran {\n}\n\
        fn c(data: &impl Nodes, other: u32) -> Ran {\n}\nfn d(data: &impl Nodes) -> Node {\n}\n";
    assert_eq!(names(nodes), ["a", "b"]);
    assert_eq!(names("Trial::test(\"b\", || c(\"\"))"), ["b", ""]);
}
