//! The rules, and the violations of them.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    circles::{self, Graph},
    names::Found,
    reader,
    sources::Sources,
    tokens::EXPORTED,
    tree::{FileId, Kind, Mention, ROOT, Reach, Tree},
};

/// The findings for one root of a crate.
#[derive(Debug)]
pub struct Report {
    /// A text for each breach of a rule: file, line, path and remedy.
    pub violations: Vec<String>,
    /// A line for each file, with its row, beneath those that import from it.
    pub order: Vec<String>,
    /// A line for each file that imports from another.
    pub edges: Vec<String>,
}

/// Checks the library and the binaries of a crate.
#[must_use]
pub fn check(sources: &Sources) -> Vec<Report> {
    let roots = sources.roots();
    roots
        .map(|root| Checker::new(&reader::read(sources, root)).finish())
        .collect()
}

/// The first place where a file imports from another.
struct Edge {
    line: usize,
    path: String,
}

struct Checker<'a> {
    tree: &'a Tree,
    graph: Graph,
    edges: BTreeMap<(FileId, FileId), Edge>,
    /// By file, line and text, each breach once.
    violations: BTreeSet<(FileId, usize, String)>,
    /// By file, name and remedy.
    reported: BTreeSet<(FileId, Option<String>, Option<String>)>,
}

impl<'a> Checker<'a> {
    fn new(tree: &'a Tree) -> Self {
        let mut checker = Self {
            tree,
            graph: (0..tree.files.len())
                .map(|file| (file, BTreeSet::new()))
                .collect(),
            edges: BTreeMap::new(),
            violations: BTreeSet::new(),
            reported: BTreeSet::new(),
        };
        for mention in &tree.mentions {
            for found in tree.resolve(mention) {
                checker.take(mention, &found);
            }
        }
        checker
    }

    fn take(&mut self, mention: &Mention, found: &Found) {
        let tree = self.tree;
        let from = &tree.modules[mention.module];
        let to = &tree.modules[found.owner];
        if from.file == to.file {
            return;
        }
        if mention.module == ROOT {
            return self.connect(mention, to.file);
        }
        let forwards = matches!(
            mention.kind,
            Kind::Import {
                reach: Reach::Beyond,
                ..
            }
        );
        if forwards && tree.is_within(found.owner, mention.module) {
            return;
        }

        let path = mention.path.join("::");
        let path = path.trim_start_matches('$');
        if self.is_passed_on_by_root(found) {
            if is_exported(mention) {
                return;
            }
            let text = format!(
                "`{path}` is imported from the root of the crate, which imports it from another \
                 crate. Import it from that crate."
            );
            return self.report(mention, found, text);
        }
        if let Some(forwarder) = self.wrong_forwarder(mention, found) {
            let text = format!(
                "`{path}` is imported from {forwarder}, which does not own it. Import `{}`.",
                self.full_name(found),
            );
            self.report(mention, found, text);
        }
        if to.row < from.row {
            let text = format!(
                "`{path}` goes up: it leads to `{}` in {}, and this file is in {}. Move what both \
                 need into a row beneath them, or pass it as an argument.",
                self.full_name(found),
                self.row(to.row),
                self.row(from.row),
            );
            self.report(mention, found, text);
        } else if found.name.is_some() {
            self.connect(mention, to.file);
        }
    }

    fn connect(&mut self, mention: &Mention, to: FileId) {
        let from = self.tree.modules[mention.module].file;
        self.graph.entry(from).or_default().insert(to);
        self.edges.entry((from, to)).or_insert_with(|| Edge {
            line: mention.line,
            path: mention.path.join("::"),
        });
    }

    /// Adds a violation, unless one with the same path or name and remedy is
    /// there from an earlier line.
    fn report(&mut self, mention: &Mention, found: &Found, text: String) {
        let file = self.tree.modules[mention.module].file;
        let remedy = text.split_once("` ").map(|(_, remedy)| remedy.to_owned());
        if self.reported.insert((file, found.name.clone(), remedy)) {
            self.violations.insert((file, mention.line, text));
        }
    }

    /// A module that passes the name on, though neither it nor a module
    /// within it, the root's children apart, owns the name.
    fn wrong_forwarder(&self, mention: &Mention, found: &Found) -> Option<String> {
        found.forwarded_by.iter().find_map(|&forwarder| {
            if forwarder == ROOT {
                let root = "the root of the crate".to_owned();
                return (!is_exported(mention)).then_some(root);
            }
            let is_wrong =
                forwarder != mention.module && !self.tree.is_within(found.owner, forwarder);
            is_wrong.then(|| format!("`{}`", self.tree.path(forwarder)))
        })
    }

    /// Returns whether the name is of another crate, and the root imports it.
    fn is_passed_on_by_root(&self, found: &Found) -> bool {
        let imports = &self.tree.modules[ROOT].imports;
        found.owner == ROOT
            && found.name.is_some()
            && imports.iter().any(|import| import.name == found.name)
    }

    /// The path by which a name is imported: from its owner, or from the
    /// outermost folder above the owner that forwards it.
    fn full_name(&self, found: &Found) -> String {
        let forwarders = found.forwarded_by.iter().copied();
        let folder = forwarders
            .filter(|&module| module != ROOT && self.tree.is_within(found.owner, module))
            .min_by_key(|&module| self.tree.path(module).len());
        let module = self.tree.path(folder.unwrap_or(found.owner));
        match &found.name {
            Some(name) => format!("{module}::{name}"),
            None => module,
        }
    }

    fn row(&self, row: Option<usize>) -> String {
        match row {
            None => "the root of the crate".to_owned(),
            Some(row) => {
                let modules = &self.tree.rows[row];
                let names = modules[..modules.len().min(8)].join(", ");
                let more = if modules.len() > 8 { ", …" } else { "" };
                format!("row {} ({names}{more})", row + 1)
            }
        }
    }

    fn report_circle(&self, group: &[FileId]) -> String {
        let tree = self.tree;
        let circle = circles::shortest(&self.graph, group);
        let mut text = format!("{} files import from each other in a circle", circle.len());
        if group.len() > circle.len() {
            text += &format!(", one of several among {} files", group.len());
        }
        text += ":";
        for (at, &from) in circle.iter().enumerate() {
            let to = circle[(at + 1) % circle.len()];
            let Edge { line, path } = &self.edges[&(from, to)];
            text += &format!(
                "\n    {}:{line}: `{path}` leads to {}",
                tree.files[from], tree.files[to],
            );
        }
        text + "\n    Move what both need into a file that imports from neither, or pass it as an \
                argument."
    }

    fn finish(self) -> Report {
        let files = &self.tree.files;
        let mut violations = self.tree.unread.clone();
        for (file, line, text) in &self.violations {
            violations.push(format!("{}:{line}: {text}", files[*file]));
        }
        let mut order = Vec::new();
        let groups = circles::groups(&self.graph);
        for group in groups.iter().rev() {
            if group.len() > 1 {
                violations.push(self.report_circle(group));
            }
            for &file in group {
                let mut modules = self.tree.modules.iter();
                let module = modules.find(|module| module.file == file);
                let row = module
                    .and_then(|module| module.row)
                    .map_or(0, |row| row + 1);
                let circle = circle_mark(group.len() > 1);
                order.push((row, format!("{row:2} {}{circle}", files[file])));
            }
        }
        order.sort_by_key(|(row, _)| *row);
        let edges = self.edges.iter().map(|((from, to), edge)| {
            let Edge { line, path } = edge;
            let mut groups = groups.iter();
            let circle =
                circle_mark(groups.any(|group| group.contains(from) && group.contains(to)));
            format!(
                "{}:{line}: {} by `{path}`{circle}",
                files[*from], files[*to]
            )
        });
        Report {
            edges: edges.collect(),
            violations,
            order: order.into_iter().map(|(_, line)| line).collect(),
        }
    }
}

fn circle_mark(is_of_circle: bool) -> &'static str {
    if is_of_circle { " (in a circle)" } else { "" }
}

/// Returns whether a macro names this for other crates too, and so can name
/// only what the root passes on.
fn is_exported(mention: &Mention) -> bool {
    mention.path.first().is_some_and(|first| first == EXPORTED)
}
