//! Links of the documents: each leads to a file and a heading that exist.

use std::{collections::BTreeSet, fs, path::Path};

use crate::sources::{read, root};

/// Returns the anchor that a heading has.
fn anchor(heading: &str) -> String {
    let text = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = text
        .chars()
        .filter(|char| char.is_alphanumeric() || " -_".contains(*char));
    kept.map(|char| if char == ' ' { '-' } else { char })
        .collect()
}

/// Returns the anchors of a document.
fn anchors(document: &str) -> BTreeSet<String> {
    let headings = document.lines().filter(|line| line.starts_with('#'));
    headings.map(anchor).collect()
}

/// Returns the relative links of a document that lead nowhere.
fn broken(folder: &Path, document: &str) -> Vec<String> {
    let links = document.split("](").skip(1);
    let links = links.filter_map(|link| link.split(')').next());
    let is_broken = |link: &str| {
        let (path, place) = link.split_once('#').unwrap_or((link, ""));
        if path.is_empty() {
            return !anchors(document).contains(place);
        }
        let path = folder.join(path);
        let has_place = || fs::read_to_string(&path).is_ok_and(|it| anchors(&it).contains(place));
        !path.exists()
            || !place.is_empty() && path.extension().is_some_and(|it| it == "md") && !has_place()
    };
    let is_relative = |link: &&str| !link.contains("://") && !link.contains(char::is_whitespace);
    let links = links.filter(is_relative).filter(|link| is_broken(link));
    links.map(str::to_owned).collect()
}

#[test]
fn every_link_of_a_document_has_a_target() {
    let mut found = Vec::new();
    let folders = [root(), root().join("docs")];
    let entries = folders.map(|folder| fs::read_dir(folder).expect("documents"));
    let paths = entries
        .into_iter()
        .flatten()
        .map(|entry| entry.expect("an entry").path());
    for path in paths.filter(|path| path.extension().is_some_and(|end| end == "md")) {
        let document = fs::read_to_string(&path).expect("a document");
        let folder = path.parent().expect("a folder");
        let broken = broken(folder, &document).into_iter();
        found.extend(broken.map(|link| format!("{}: {link}", path.display())));
    }
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn links_that_lead_nowhere_are_found() {
    let document = "# A *part*, 1\n[a](#a-part-1) [b](#b) [c](README.md) [d](no.md) [e](https://x/#f)\n\
        [g](README.md#no)";
    assert_eq!(broken(&root(), document), ["#b", "no.md", "README.md#no"]);
    assert!(read("README.md").is_ok());
}
