//! The text of a crate's files.

use std::{collections::BTreeMap, fs, path::Path};

use anyhow::Context;

/// The Rust files of a crate by their paths from its folder.
#[derive(Debug, Default)]
pub struct Sources(BTreeMap<String, String>);

impl Sources {
    /// Reads all Rust files beneath `src` in the folder of a crate.
    ///
    /// # Errors
    ///
    /// A folder or a file cannot be read.
    pub fn read(folder: &Path) -> anyhow::Result<Self> {
        let mut sources = Self::default();
        let mut folders = vec![folder.join("src")];
        while let Some(inner) = folders.pop() {
            let entries =
                fs::read_dir(&inner).with_context(|| format!("reading {}", inner.display()))?;
            for entry in entries {
                let path = entry?.path();
                if path.is_dir() {
                    folders.push(path);
                } else if path.extension().is_some_and(|extension| extension == "rs") {
                    let text = fs::read_to_string(&path)
                        .with_context(|| format!("reading {}", path.display()))?;
                    let name = path.strip_prefix(folder)?.to_string_lossy();
                    sources.0.insert(name.replace('\\', "/"), text);
                }
            }
        }
        Ok(sources)
    }

    /// Takes files from one text, in which a line `=== PATH` begins each.
    #[must_use]
    pub fn from_text(text: &str) -> Self {
        let files = text.split("=== ").skip(1).map(|file| {
            let (path, text) = file.split_once('\n').unwrap_or((file, ""));
            (path.trim().to_owned(), text.to_owned())
        });
        Self(files.collect())
    }

    pub(crate) fn text(&self, path: &str) -> Option<&str> {
        self.0.get(path).map(String::as_str)
    }

    /// The roots of the library and of the binaries.
    pub(crate) fn roots(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str).filter(|path| {
            *path == "src/lib.rs"
                || *path == "src/main.rs"
                || path.strip_prefix("src/bin/").is_some_and(|name| {
                    name.split('/').count() == 1 || name.split('/').nth(1) == Some("main.rs")
                })
        })
    }
}
