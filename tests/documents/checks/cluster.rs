//! Holds `docs/cluster.md` to the tests of the workspace: every test that it names exists.

use crate::sources::{Test, read, tests};

/// Returns the tests that a document names by package and name.
fn named(document: &str) -> impl Iterator<Item = (&str, &str)> {
    let is_package = |name: &str| name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'-'));
    let code = document.split('`').skip(1).step_by(2);
    code.filter_map(|code| code.split_once("::"))
        .filter(move |(package, _)| is_package(package))
}

#[test]
fn every_test_that_operators_are_told_of_exists() {
    let document = read("docs/cluster.md").expect("the document");
    let tests = tests();
    let exists = |(package, name): (&str, &str)| {
        let is_it = |test: &Test| test.package == package && test.name == name;
        tests.iter().any(is_it)
    };
    let missing: Vec<_> = named(&document).filter(|named| !exists(*named)).collect();
    assert!(missing.is_empty(), "{missing:?}");
    assert!(named(&document).count() > 9, "failures name their tests");
}
