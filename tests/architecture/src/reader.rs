//! The modules of a crate, read from its files.

use std::collections::BTreeSet;

use proc_macro2::{TokenStream, TokenTree};
use syn::{
    Attribute, Item, ItemMacro, ItemMod, Meta, UseTree, Visibility,
    visit::{self, Visit},
};

use crate::{
    cfg,
    places::{Place, join},
    rows::rows,
    sources::Sources,
    tokens::{self, EXPORTED},
    tree::{Import, Kind, Mention, ModuleId, ROOT, Reach, Tree},
    variables::{Variables, is_constant},
};

/// Reads the crate that begins in the file `root`.
pub(crate) fn read(sources: &Sources, root: &str) -> Tree {
    let mut reader = Reader {
        sources,
        tree: Tree::default(),
        module: ROOT,
        place: Place::of_file(root, true),
        blocks: 0,
        variables: BTreeSet::new(),
        is_exported: false,
    };
    reader.tree.files.push(root.to_owned());
    reader.tree.add("crate", None, None);
    reader.read_file(root);
    reader.tree
}

struct Reader<'a> {
    sources: &'a Sources,
    tree: Tree,
    module: ModuleId,
    place: Place,
    /// The functions and blocks that surround the item.
    blocks: usize,
    /// The names of variables in the function.
    variables: BTreeSet<String>,
    /// The item is a macro for other crates too.
    is_exported: bool,
}

impl Reader<'_> {
    fn read_file(&mut self, path: &str) {
        let Some(text) = self.sources.text(path) else {
            self.tree
                .unread
                .push(format!("{path}: the file is missing"));
            return;
        };
        let file = match syn::parse_file(text) {
            Ok(file) => file,
            Err(error) => {
                let line = error.span().start().line;
                self.tree.unread.push(format!("{path}:{line}: {error}"));
                return;
            }
        };
        if self.module == ROOT {
            self.tree.rows = rows(&file.items, text);
        }
        self.visit_file(&file);
    }

    fn read_module(&mut self, item: &ItemMod) {
        let name = item.ident.to_string();
        if item.content.is_some() {
            self.enter(&name, None, self.place.of_inline(&name), |reader| {
                visit::visit_item_mod(reader, item);
            });
            return;
        }
        let mut files: Vec<(String, bool)> = cfg::paths(&item.attrs)
            .iter()
            .map(|path| (join(&self.place.paths, path), true))
            .collect();
        if !item
            .attrs
            .iter()
            .any(|attribute| attribute.path().is_ident("path"))
        {
            let flat = format!("{}.rs", join(&self.place.children, &name));
            let folder = format!("{}/mod.rs", join(&self.place.children, &name));
            if self.sources.text(&folder).is_some() {
                files.push((folder, true));
            } else if files.is_empty() || self.sources.text(&flat).is_some() {
                files.push((flat, false));
            }
        }
        for (file, in_own_folder) in files {
            let place = Place::of_file(&file, in_own_folder);
            self.enter(&name, Some(file.clone()), place, |reader| {
                reader.read_file(&file);
            });
        }
    }

    fn enter(
        &mut self,
        name: &str,
        file: Option<String>,
        place: Place,
        read: impl FnOnce(&mut Self),
    ) {
        let module = self.tree.add(name, Some(self.module), file);
        let outer = (
            std::mem::replace(&mut self.module, module),
            std::mem::replace(&mut self.place, place),
            std::mem::take(&mut self.blocks),
        );
        read(self);
        (self.module, self.place, self.blocks) = outer;
    }

    fn define(&mut self, item: &Item) {
        let name = match item {
            Item::Const(item) => &item.ident,
            Item::Enum(item) => &item.ident,
            Item::Fn(item) => &item.sig.ident,
            Item::Static(item) => &item.ident,
            Item::Struct(item) => &item.ident,
            Item::Trait(item) => &item.ident,
            Item::TraitAlias(item) => &item.ident,
            Item::Type(item) => &item.ident,
            Item::Union(item) => &item.ident,
            Item::Macro(item) => match &item.ident {
                Some(name) => {
                    self.tree.modules[self.module].macros.push(name.to_string());
                    name
                }
                None => return self.define_among(item.mac.tokens.clone()),
            },
            Item::ExternCrate(item) if item.ident == "self" => {
                let name = item.rename.as_ref().map(|(_, name)| name.to_string());
                return self.tree.modules[self.module].imports.push(Import {
                    name,
                    path: vec!["crate".to_owned()],
                    reach: Reach::Beyond,
                });
            }
            _ => return,
        };
        self.tree.modules[self.module].items.push(name.to_string());
    }

    /// Finds the names of items among the tokens of a macro.
    fn define_among(&mut self, tokens: TokenStream) {
        const WORDS: [&str; 8] = [
            "const", "enum", "fn", "static", "struct", "trait", "type", "union",
        ];
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        for pair in tokens.windows(2) {
            let [word, name] = [&pair[0], &pair[1]].map(ToString::to_string);
            if WORDS.contains(&word.as_str()) {
                self.tree.modules[self.module].items.push(name);
            } else if word == "mod" {
                self.leave_unread(&format!("the module `{name}` within a macro"));
            }
        }
        for token in tokens {
            if let TokenTree::Group(group) = token {
                self.define_among(group.stream());
            }
        }
    }

    fn leave_unread(&mut self, what: &str) {
        let file = &self.tree.files[self.tree.modules[self.module].file];
        self.tree
            .unread
            .push(format!("{file}: {what} is not read by this check"));
    }

    fn mention(&mut self, path: Vec<String>, line: usize, kind: Kind) {
        self.tree.mentions.push(Mention {
            module: self.module,
            path,
            line,
            kind,
        });
    }

    fn mention_inline(&mut self, path: Vec<String>, line: usize) {
        if path.len() > 1 || !self.variables.contains(&path[0]) {
            self.mention(path, line, Kind::Inline);
        }
    }

    fn scan(&mut self, tokens: &TokenStream) {
        tokens::scan(tokens, &mut |mut path, line| {
            if path[0] == EXPORTED && !self.is_exported {
                path[0] = "crate".to_owned();
            }
            self.mention_inline(path, line);
        });
    }

    fn in_function(&mut self, find: impl FnOnce(&mut Variables<'_>), read: impl FnOnce(&mut Self)) {
        let outer = self.variables.clone();
        find(&mut Variables(&mut self.variables));
        read(self);
        self.variables = outer;
    }

    fn import(&mut self, tree: &UseTree, prefix: &[String], reach: Reach) {
        let mut path = prefix.to_vec();
        let (name, last, span) = match tree {
            UseTree::Path(inner) => {
                path.push(inner.ident.to_string());
                return self.import(&inner.tree, &path, reach);
            }
            UseTree::Group(group) => {
                for tree in &group.items {
                    self.import(tree, prefix, reach);
                }
                return;
            }
            UseTree::Name(name) => (Some(&name.ident), Some(&name.ident), name.ident.span()),
            UseTree::Rename(name) => (Some(&name.rename), Some(&name.ident), name.ident.span()),
            UseTree::Glob(glob) => (None, None, glob.star_token.span),
        };
        path.extend(last.map(ToString::to_string));
        let mut name = name.map(ToString::to_string);
        if path.len() > 1 && path.last().is_some_and(|last| last == "self") {
            path.pop();
            if name.as_deref() == Some("self") {
                name = path.last().cloned();
            }
        }
        let glob = name.is_none();
        self.tree.modules[self.module].imports.push(Import {
            name,
            path: path.clone(),
            reach,
        });
        self.mention(path, span.start().line, Kind::Import { reach, glob });
    }
}

impl<'ast> Visit<'ast> for Reader<'_> {
    fn visit_item(&mut self, item: &'ast Item) {
        if cfg::is_for_tests(cfg::of_item(item)) {
            return;
        }
        if self.blocks == 0 {
            self.define(item);
        }
        if let Item::Verbatim(tokens) = item {
            self.scan(tokens);
        }
        visit::visit_item(self, item);
    }

    fn visit_item_macro(&mut self, item: &'ast ItemMacro) {
        let is_export = |attribute: &Attribute| attribute.path().is_ident("macro_export");
        self.is_exported = item.attrs.iter().any(is_export);
        visit::visit_item_macro(self, item);
        self.is_exported = false;
    }

    fn visit_item_mod(&mut self, item: &'ast ItemMod) {
        self.read_module(item);
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        let reach = match item.vis {
            _ if self.blocks > 0 => Reach::Function,
            Visibility::Inherited => Reach::Module,
            _ => Reach::Beyond,
        };
        if item.leading_colon.is_none() {
            self.import(&item.tree, &[], reach);
        }
    }

    fn visit_impl_item(&mut self, item: &'ast syn::ImplItem) {
        if !cfg::is_for_tests(cfg::of_impl_item(item)) {
            visit::visit_impl_item(self, item);
        }
    }

    fn visit_trait_item(&mut self, item: &'ast syn::TraitItem) {
        if !cfg::is_for_tests(cfg::of_trait_item(item)) {
            visit::visit_trait_item(self, item);
        }
    }

    fn visit_field(&mut self, field: &'ast syn::Field) {
        if !cfg::is_for_tests(&field.attrs) {
            visit::visit_field(self, field);
        }
    }

    fn visit_local(&mut self, local: &'ast syn::Local) {
        if !cfg::is_for_tests(&local.attrs) {
            visit::visit_local(self, local);
        }
    }

    fn visit_stmt_macro(&mut self, call: &'ast syn::StmtMacro) {
        if !cfg::is_for_tests(&call.attrs) {
            visit::visit_stmt_macro(self, call);
        }
    }

    fn visit_block(&mut self, block: &'ast syn::Block) {
        self.blocks += 1;
        visit::visit_block(self, block);
        self.blocks -= 1;
    }

    fn visit_item_fn(&mut self, function: &'ast syn::ItemFn) {
        self.in_function(
            |variables| variables.visit_item_fn(function),
            |reader| visit::visit_item_fn(reader, function),
        );
    }

    fn visit_impl_item_fn(&mut self, function: &'ast syn::ImplItemFn) {
        self.in_function(
            |variables| variables.visit_impl_item_fn(function),
            |reader| visit::visit_impl_item_fn(reader, function),
        );
    }

    fn visit_trait_item_fn(&mut self, function: &'ast syn::TraitItemFn) {
        self.in_function(
            |variables| variables.visit_trait_item_fn(function),
            |reader| visit::visit_trait_item_fn(reader, function),
        );
    }

    fn visit_pat_ident(&mut self, pattern: &'ast syn::PatIdent) {
        let name = pattern.ident.to_string();
        if is_constant(&name) {
            self.mention_inline(vec![name], pattern.ident.span().start().line);
        }
        visit::visit_pat_ident(self, pattern);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        if path.leading_colon.is_none()
            && let Some(first) = path.segments.first()
        {
            let line = first.ident.span().start().line;
            let names = path
                .segments
                .iter()
                .map(|segment| segment.ident.to_string());
            self.mention_inline(names.collect(), line);
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        if let Some(name) = call.path.get_ident() {
            let line = name.span().start().line;
            self.mention(vec![name.to_string()], line, Kind::Macro);
        } else {
            self.visit_path(&call.path);
        }
        if call.path.is_ident("include") {
            self.leave_unread("the file of `include!`");
        }
        self.scan(&call.tokens);
    }

    fn visit_attribute(&mut self, attribute: &'ast Attribute) {
        if let Meta::List(list) = &attribute.meta
            && !list.path.is_ident("cfg")
            && !list.path.is_ident("doc")
        {
            self.scan(&list.tokens);
        }
    }

    fn visit_visibility(&mut self, _: &'ast Visibility) {}
}
