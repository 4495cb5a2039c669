//! Holds the published crates to what a registry and their readers need: metadata, a table of the
//! features, and a section of the changelog for the version.

use std::{collections::BTreeMap, fs};

use toml::{Table, Value};

use crate::sources::{read, root};

/// A published crate.
struct Crate {
    name: String,
    manifest: Table,
    readme: String,
}

impl Crate {
    fn package(&self) -> &Table {
        self.manifest["package"].as_table().expect("a table")
    }

    fn text(&self, key: &str) -> &str {
        let value = self.package().get(key).and_then(Value::as_str);
        value.unwrap_or_else(|| panic!("{} has no {key}", self.name))
    }

    /// Returns the features, each with whether it is on by default.
    fn features(&self) -> BTreeMap<&str, bool> {
        let Some(features) = self.manifest.get("features").and_then(Value::as_table) else {
            return BTreeMap::new();
        };
        let default = features.get("default").and_then(Value::as_array);
        let is_default = |name: &str| {
            default.is_some_and(|default| default.iter().any(|of| of.as_str() == Some(name)))
        };
        let names = features.keys().filter(|name| *name != "default");
        names
            .map(|name| (name.as_str(), is_default(name)))
            .collect()
    }

    /// Returns the features in the table of the README, which is the crate's documentation.
    fn documented_features(&self) -> BTreeMap<&str, bool> {
        let section = section(&self.readme, "## Features");
        let section = section.unwrap_or_else(|| panic!("{} documents no features", self.name));
        let rows = section.lines().filter(|line| line.starts_with("| `"));
        rows.map(|row| {
            let cells: Vec<_> = row.trim_matches('|').split('|').map(str::trim).collect();
            assert_eq!(cells.len(), 3, "{}: {row}", self.name);
            assert!(!cells[2].is_empty(), "{}: {row}", self.name);
            (cells[0].trim_matches('`'), cells[1] == "yes")
        })
        .collect()
    }
}

fn section<'a>(text: &'a str, heading: &str) -> Option<&'a str> {
    let (_, section) = text.split_once(&format!("\n{heading}\n"))?;
    section.split("\n## ").next()
}

fn crates() -> Vec<Crate> {
    let folders = fs::read_dir(root().join("crates")).expect("crates");
    let names = folders.map(|entry| entry.expect("an entry").file_name());
    let crates = names.map(|name| {
        let name = name.into_string().expect("a name");
        let file = |file: &str| read(&format!("crates/{name}/{file}")).expect("a file");
        Crate {
            manifest: file("Cargo.toml").parse().expect("TOML"),
            readme: file("README.md"),
            name,
        }
    });
    crates.collect()
}

fn workspace() -> Table {
    let root: Table = read("Cargo.toml")
        .expect("the manifest")
        .parse()
        .expect("TOML");
    root["workspace"].as_table().expect("a table").clone()
}

#[test]
fn crates_have_the_metadata_of_a_registry() {
    for of in crates() {
        let name = &of.name;
        assert_eq!(of.text("name"), name);
        assert!(!of.text("description").ends_with('.'), "{name}");
        assert_eq!(of.text("readme"), "README.md", "{name}");
        let keywords = of.package()["keywords"].as_array().expect("keywords");
        assert!((1..=5).contains(&keywords.len()), "{name}");
        for key in ["version", "edition", "rust-version", "license"] {
            let is_inherited = of.package()[key]["workspace"].as_bool();
            assert_eq!(is_inherited, Some(true), "{name}: {key}");
        }
        assert!(of.package().contains_key("categories"), "{name}");
        // A program has no documentation of an interface.
        if root().join(format!("crates/{name}/src/lib.rs")).exists() {
            let docs = &of.package()["metadata"]["docs"]["rs"];
            assert_eq!(docs["all-features"].as_bool(), Some(true), "{name}");
            let arguments = docs["rustdoc-args"].as_array().expect("arguments");
            assert!(
                arguments.iter().any(|it| it.as_str() == Some("docsrs")),
                "{name}"
            );
        }
    }
}

/// Without a version, a dependency of a package cannot be found by others. Crates that are only
/// tested with each other have none, so that each can be published first.
#[test]
fn crates_depend_on_versions_of_each_other() {
    let workspace = workspace();
    let version = workspace["package"]["version"].clone();
    for of in crates() {
        let dependencies = of.manifest["dependencies"].as_table().expect("a table");
        for name in dependencies.keys() {
            let Some(shared) = workspace["dependencies"].get(name) else {
                continue;
            };
            if shared.get("path").is_some() {
                assert_eq!(shared.get("version"), Some(&version), "{}: {name}", of.name);
            }
        }
    }
}

#[test]
fn features_are_those_of_the_table_in_the_documentation() {
    for of in crates() {
        assert_eq!(of.documented_features(), of.features(), "{}", of.name);
        let library = read(&format!("crates/{}/src/lib.rs", of.name));
        assert!(
            library.is_err() || library.is_ok_and(|text| text.contains("../README.md")),
            "the documentation of {} is not its README",
            of.name
        );
    }
}

#[test]
fn the_version_has_a_dated_section_in_every_changelog() {
    let workspace = workspace();
    let version = workspace["package"]["version"].as_str().expect("a version");
    for of in crates() {
        let changelog = read(&format!("crates/{}/CHANGELOG.md", of.name)).expect("a changelog");
        let heading = format!("\n## [{version}] - ");
        let (_, after) = changelog
            .split_once(&heading)
            .unwrap_or_else(|| panic!("{}: {version} has no section", of.name));
        let date = after.lines().next().unwrap_or_default();
        let numbers: Vec<_> = date.split('-').map(str::parse::<u32>).collect();
        assert!(
            date.len() == 10 && numbers.len() == 3 && numbers.iter().all(Result::is_ok),
            "{}: {date}",
            of.name
        );
        assert!(after.contains("\n- "), "{}", of.name);
    }
}
