//! The files of modules.

/// The folders in which a module's children are looked for.
#[derive(Clone)]
pub(crate) struct Place {
    /// The folder of children without `#[path]`.
    pub(crate) children: String,
    /// The folder from which `#[path]` leads.
    pub(crate) paths: String,
}

impl Place {
    /// The folders of a file's module. Files such as `mod.rs` and a crate's
    /// root lie in their module's folder; others are named for it.
    pub(crate) fn of_file(file: &str, in_own_folder: bool) -> Self {
        let folder = file.rsplit_once('/').map_or("", |(folder, _)| folder);
        let children = if in_own_folder {
            folder
        } else {
            file.trim_end_matches(".rs")
        };
        Self {
            children: children.to_owned(),
            paths: folder.to_owned(),
        }
    }

    /// The folders of a module that stands within the file of this one.
    pub(crate) fn of_inline(&self, name: &str) -> Self {
        let inner = join(&self.children, name);
        Self {
            children: inner.clone(),
            paths: inner,
        }
    }
}

/// Follows a relative path from a folder.
pub(crate) fn join(folder: &str, path: &str) -> String {
    let mut parts: Vec<&str> = folder.split('/').collect();
    for part in path.split('/') {
        match part {
            "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}
