//! The files of modules.

/// The folders in which a module's children are looked for.
#[derive(Clone)]
pub(crate) struct Place {
    /// Of children without `#[path]`.
    pub(crate) children: String,
    /// Of children with it.
    pub(crate) paths: String,
}

impl Place {
    /// Of a file that is named for its module, or that, like `mod.rs` and a
    /// crate's root, lies in its module's folder.
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

    pub(crate) fn of_inline(&self, name: &str) -> Self {
        let inner = join(&self.children, name);
        Self {
            children: inner.clone(),
            paths: inner,
        }
    }
}

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
