//! The modules of a crate, the names in them, and the paths that they mention.

/// The index of a module in [`Tree::modules`].
pub(crate) type ModuleId = usize;

/// The index of a file in [`Tree::files`].
pub(crate) type FileId = usize;

/// The root of a crate is the first module of its tree, and its file the
/// first file.
pub(crate) const ROOT: usize = 0;

/// All modules of a crate, without those of its tests.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    pub(crate) modules: Vec<Module>,
    pub(crate) files: Vec<String>,
    pub(crate) mentions: Vec<Mention>,
    /// The names of each row's modules, the top row first.
    pub(crate) rows: Vec<Vec<String>>,
    /// Each file that could not be read, with the reason.
    pub(crate) unread: Vec<String>,
}

/// A module and the names in it.
#[derive(Debug)]
pub(crate) struct Module {
    pub(crate) name: String,
    pub(crate) parent: Option<ModuleId>,
    pub(crate) file: FileId,
    pub(crate) row: Option<usize>,
    pub(crate) children: Vec<ModuleId>,
    pub(crate) items: Vec<String>,
    pub(crate) macros: Vec<String>,
    pub(crate) imports: Vec<Import>,
}

/// A name that a `use` declaration brings into a module.
#[derive(Debug)]
pub(crate) struct Import {
    /// The name, or nothing for a glob.
    pub(crate) name: Option<String>,
    pub(crate) path: Vec<String>,
    pub(crate) reach: Reach,
}

/// The paths by which an imported name is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// Those within the function that imports it.
    Function,
    /// Those in the module and in the modules within it.
    Module,
    /// Those from elsewhere, too.
    Beyond,
}

/// A path that stands in a module.
#[derive(Debug)]
pub(crate) struct Mention {
    pub(crate) module: ModuleId,
    pub(crate) path: Vec<String>,
    pub(crate) line: usize,
    pub(crate) kind: Kind,
}

/// The place of a mentioned path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A `use` declaration; with a glob, the path before the asterisk.
    Import { reach: Reach, glob: bool },
    /// An expression, a type, a pattern or the tokens of a macro.
    Inline,
    /// The name of a macro that is called.
    Macro,
}

impl Tree {
    /// Adds a module, and a file if the module has one of its own.
    pub(crate) fn add(
        &mut self,
        name: &str,
        parent: Option<ModuleId>,
        own_file: Option<String>,
    ) -> ModuleId {
        let id = self.modules.len();
        let file = match (own_file, parent) {
            (Some(file), _) => self.file(file),
            (None, Some(ROOT)) => self.file(format!("{} (mod {name})", self.files[ROOT])),
            (None, Some(parent)) => self.modules[parent].file,
            (None, None) => ROOT,
        };
        let row = match parent {
            None => None,
            Some(ROOT) => self
                .rows
                .iter()
                .position(|row| row.iter().any(|module| module == name)),
            Some(parent) => self.modules[parent].row,
        };
        self.modules.push(Module {
            name: name.to_owned(),
            parent,
            file,
            row,
            children: Vec::new(),
            items: Vec::new(),
            macros: Vec::new(),
            imports: Vec::new(),
        });
        if let Some(parent) = parent {
            self.modules[parent].children.push(id);
        }
        id
    }

    fn file(&mut self, path: String) -> FileId {
        let known = self.files.iter().position(|file| *file == path);
        known.unwrap_or_else(|| {
            self.files.push(path);
            self.files.len() - 1
        })
    }

    /// The path of a module from the root of its crate.
    pub(crate) fn path(&self, module: ModuleId) -> String {
        match self.modules[module].parent {
            Some(parent) => format!("{}::{}", self.path(parent), self.modules[module].name),
            None => "crate".to_owned(),
        }
    }

    /// Returns whether `inner` is `outer` or stands within it.
    pub(crate) fn is_within(&self, inner: ModuleId, outer: ModuleId) -> bool {
        inner == outer
            || self.modules[inner]
                .parent
                .is_some_and(|parent| self.is_within(parent, outer))
    }
}
