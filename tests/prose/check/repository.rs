//! All files of the repository.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::{findings::findings, rules::EXCEPTIONS, source};

/// The folders and files that are not written by hand, or that tell history.
const SKIPPED: [&str; 4] = ["target", "CHANGELOG.md", "corpus", "artifacts"];

fn root() -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    path.canonicalize().expect("the root of the repository")
}

/// Adds the Rust and Markdown files beneath `folder`, in order.
fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    let entries = fs::read_dir(folder).expect("a folder");
    let mut paths: Vec<_> = entries
        .map(|entry| entry.expect("an entry").path())
        .collect();
    paths.sort();
    for path in paths {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with('.') || SKIPPED.contains(&&*name) {
            continue;
        }
        if path.is_dir() {
            collect(&path, files);
        } else if path
            .extension()
            .is_some_and(|ext| ext == "rs" || ext == "md")
        {
            files.push(path);
        }
    }
}

#[test]
fn comments_and_documents_keep_to_the_rules() {
    let root = root();
    let mut files = Vec::new();
    collect(&root, &mut files);
    let mut faults = Vec::new();
    let mut is_excused = [false; EXCEPTIONS.len()];
    for path in files {
        let text = fs::read_to_string(&path).expect("UTF-8");
        let name = path.strip_prefix(&root).expect("beneath the root");
        let name = name.to_string_lossy().replace('\\', "/");
        let blocks = match name.ends_with(".md") {
            true => source::markdown(&text),
            false => source::rust(&text),
        };
        for finding in findings(&blocks) {
            let is_allowed = EXCEPTIONS.iter().position(|exception| {
                exception.file == name && finding.text.contains(exception.text)
            });
            match is_allowed {
                Some(at) => is_excused[at] = true,
                None => faults.push(format!("{name}:{finding}")),
            }
        }
    }
    let idle = EXCEPTIONS
        .iter()
        .zip(is_excused)
        .filter(|(_, is_excused)| !is_excused);
    faults.extend(idle.map(|(exception, _)| format!("not needed: {exception:?}")));
    assert!(
        faults.is_empty(),
        "{}\n{} findings",
        faults.join("\n"),
        faults.len()
    );
}

#[test]
fn every_exception_has_a_reason() {
    for exception in EXCEPTIONS {
        assert!(!exception.reason.is_empty(), "{exception:?}");
    }
}
