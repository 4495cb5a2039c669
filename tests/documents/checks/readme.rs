//! Holds the README to the example `use-it`: its programs and dependencies are those of the example,
//! which is compiled and run.

use std::{collections::BTreeSet, fs};

use toml::{Table, Value};

use crate::sources::{read, root};

const EXAMPLE: &str = "examples/use-it";
const CLONE: &str = "/path/to/clone/";

/// A block of code, and the line before it.
struct Block<'a> {
    introduction: &'a str,
    language: &'a str,
    code: &'a str,
}

/// Returns the blocks of code in a section of the README.
fn blocks<'a>(readme: &'a str, heading: &str) -> Vec<Block<'a>> {
    let (_, section) = readme.split_once(heading).expect("the section");
    let section = section.split("\n## ").next().expect("never empty");
    let parts: Vec<_> = section.split("\n```").collect();
    let pairs = parts.windows(2).step_by(2);
    let block = |pair: &[&'a str]| {
        let (language, code) = pair[1].split_once('\n').expect("a language");
        Block {
            introduction: pair[0].trim().lines().next_back().expect("a line"),
            language,
            code,
        }
    };
    pairs.map(block).collect()
}

/// The place, the version and the features of a dependency, as the crates of a clone are found.
type Dependency = (String, Option<String>, Option<String>, BTreeSet<String>);

fn dependency(name: &str, value: &Value, workspace: Option<&Table>) -> Dependency {
    let inherited = workspace.map(|workspace| &workspace[name]);
    let text = |key: &str| {
        let of = |value: &Value| match value {
            Value::String(version) => (key == "version").then(|| version.clone()),
            value => Some(value.get(key)?.as_str().expect("a text").to_owned()),
        };
        inherited.and_then(of).or_else(|| of(value))
    };
    let features = [Some(value), inherited].into_iter().flatten();
    let features = features.filter_map(|value| value.get("features")?.as_array());
    let features = features.flatten().filter_map(Value::as_str);
    let path = text("path").map(|path| path.replace(CLONE, ""));
    // A crate of a clone has the version of the clone.
    let version = text("version").filter(|_| path.is_none());
    (
        name.to_owned(),
        path,
        version,
        features.map(str::to_owned).collect(),
    )
}

/// Returns the dependencies of a manifest.
fn dependencies(manifest: &Table, workspace: Option<&Table>) -> Vec<Dependency> {
    let table = manifest["dependencies"].as_table().expect("a table");
    let all = table.iter();
    all.map(|(name, value)| dependency(name, value, workspace))
        .collect()
}

fn manifest(text: &str) -> Table {
    text.parse().expect("TOML")
}

#[test]
fn programs_of_the_readme_are_those_of_the_example() {
    let readme = read("README.md").expect("the README");
    let blocks = blocks(&readme, "\n## Use it\n");
    let languages: Vec<_> = blocks.iter().map(|block| block.language).collect();
    assert_eq!(languages, ["toml", "rust", "rust"]);
    for (block, name) in blocks
        .iter()
        .zip(["Cargo.toml", "src/bin/server.rs", "src/bin/client.rs"])
    {
        assert!(
            block.introduction.contains(&format!("`{name}`")),
            "{}",
            block.introduction
        );
        if block.language == "rust" {
            let source = read(&format!("{EXAMPLE}/{name}")).expect("the program");
            assert_eq!(format!("{}\n", block.code), source, "{name}");
            assert!(source.lines().count() <= 40, "{name}");
        }
    }
}

#[test]
fn dependencies_of_the_readme_are_those_of_the_example() {
    let readme = read("README.md").expect("the README");
    let blocks = blocks(&readme, "\n## Use it\n");
    let shown = manifest(blocks[0].code);
    let example = manifest(&read(&format!("{EXAMPLE}/Cargo.toml")).expect("the manifest"));
    let root = manifest(&read("Cargo.toml").expect("the manifest"));
    let workspace = root["workspace"]["dependencies"].as_table();
    assert_eq!(
        dependencies(&shown, None),
        dependencies(&example, workspace)
    );
}

/// Returns the names in a folder of the workspace.
fn names(folder: &str) -> Vec<String> {
    let entries = fs::read_dir(root().join(folder)).expect("a folder");
    let names = entries.map(|entry| entry.expect("an entry").file_name());
    names
        .filter_map(|name| name.to_str().map(str::to_owned))
        .collect()
}

#[test]
fn every_guide_is_linked_by_the_readme() {
    let readme = read("README.md").expect("the README");
    let guides = names("docs").into_iter();
    let missing: Vec<_> = guides
        .filter(|name| name.ends_with(".md") && !readme.contains(&format!("(docs/{name})")))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn every_example_of_a_document_is_compiled() {
    let guides = read("tests/guides/src/lib.rs").expect("the tests of examples");
    let documents = names("docs").into_iter();
    for name in documents.filter(|name| name.ends_with(".md")) {
        let document = read(&format!("docs/{name}")).expect("a document");
        assert!(!document.contains("```rust,ignore"), "{name}");
        let is_compiled = guides.contains(&format!("docs/{name}\""));
        assert!(is_compiled || !document.contains("```rust"), "{name}");
    }
}

#[test]
fn every_crate_and_example_is_named_by_the_readme() {
    let readme = read("README.md").expect("the README");
    let crates = names("crates").into_iter();
    let crates = crates.map(|name| format!("(crates/{name})"));
    let (_, listed) = readme
        .split_once("\n`examples/` holds ")
        .expect("the examples");
    let examples = names("examples").into_iter();
    let examples = examples.map(|name| format!("`{name}`"));
    let missing: Vec<_> = crates
        .filter(|link| !readme.contains(link))
        .chain(examples.filter(|name| !listed.contains(name)))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}
