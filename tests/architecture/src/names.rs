//! The owners of names.

use crate::{
    tokens::EXPORTED,
    tree::{Kind, Mention, ModuleId, ROOT, Reach, Tree},
};

/// The module to which a path leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) owner: ModuleId,
    /// The name that the module owns, or nothing for the module itself.
    pub(crate) name: Option<String>,
    /// The modules that import the name and pass it on.
    pub(crate) forwarded_by: Vec<ModuleId>,
}

/// The imports being followed, by module and place, as some lead back to
/// themselves.
type Seen = Vec<(ModuleId, usize)>;

impl Tree {
    /// Finds the modules that own what a mentioned path names; none for names
    /// of other crates.
    pub(crate) fn resolve(&self, mention: &Mention) -> Vec<Found> {
        let Mention { module, path, .. } = mention;
        match mention.kind {
            Kind::Import { glob: true, .. } => self.resolve_glob(*module, path),
            Kind::Macro => {
                let found = self.follow(*module, path, true, &mut Seen::new());
                if found.is_empty() {
                    self.macros(*module, &path[0])
                } else {
                    found
                }
            }
            kind => self.follow(*module, path, kind == Kind::Inline, &mut Seen::new()),
        }
    }

    /// A glob imports from the module and from all that it imports itself.
    fn resolve_glob(&self, module: ModuleId, path: &[String]) -> Vec<Found> {
        let mut all = Vec::new();
        for found in self.follow(module, path, false, &mut Seen::new()) {
            let owner = &self.modules[found.owner];
            if found.name.is_none() {
                let imports = owner.imports.iter().filter(|import| {
                    import.reach == Reach::Beyond
                        || import.reach == Reach::Module && self.is_within(module, found.owner)
                });
                let names = imports.filter_map(|import| import.name.as_ref());
                for name in owner.items.iter().take(1).chain(names) {
                    all.extend(self.lookup(found.owner, name, false, false, &mut Seen::new()));
                }
            }
            all.push(found);
        }
        all
    }

    /// Finds macros by a bare name, which need no import where `#[macro_use]`
    /// stands or the module is within the macro's.
    fn macros(&self, module: ModuleId, name: &str) -> Vec<Found> {
        let imports = &self.modules[module].imports;
        if imports
            .iter()
            .any(|import| import.name.as_deref() == Some(name))
        {
            return Vec::new();
        }
        let owners = self.modules.iter().enumerate();
        owners
            .filter(|(_, owner)| owner.macros.iter().any(|known| known == name))
            .map(|(owner, _)| item(owner, name))
            .collect()
    }

    /// Follows a path that stands in a module. `of_item` says that it does
    /// not name a module.
    fn follow(
        &self,
        module: ModuleId,
        path: &[String],
        of_item: bool,
        seen: &mut Seen,
    ) -> Vec<Found> {
        let Some(first) = path.first() else {
            return Vec::new();
        };
        let mut at = module;
        let mut rest = path;
        match first.as_str() {
            "crate" | EXPORTED => (at, rest) = (ROOT, &path[1..]),
            "self" | "super" => {
                if first == "self" {
                    rest = &path[1..];
                }
                while let Some((first, inner)) = rest.split_first()
                    && first == "super"
                {
                    at = self.modules[at].parent.unwrap_or(ROOT);
                    rest = inner;
                }
            }
            _ => {
                let found = self.lookup(module, first, true, of_item && path.len() == 1, seen);
                return self.go_on(found, &path[1..], of_item, seen);
            }
        }
        self.walk(at, rest, of_item, seen)
    }

    /// Follows the rest of a path from a module.
    fn walk(&self, at: ModuleId, rest: &[String], of_item: bool, seen: &mut Seen) -> Vec<Found> {
        let Some(first) = rest.first() else {
            return vec![Found {
                owner: at,
                name: None,
                forwarded_by: Vec::new(),
            }];
        };
        let found = self.lookup(at, first, false, of_item && rest.len() == 1, seen);
        if found.is_empty() {
            let exported = match at {
                ROOT => self.macros(at, first),
                _ => Vec::new(),
            };
            // Else a macro has made the item.
            return if exported.is_empty() {
                vec![item(at, first)]
            } else {
                exported
            };
        }
        self.go_on(found, &rest[1..], of_item, seen)
    }

    fn go_on(
        &self,
        found: Vec<Found>,
        rest: &[String],
        of_item: bool,
        seen: &mut Seen,
    ) -> Vec<Found> {
        let mut all = Vec::new();
        for one in found {
            if rest.is_empty() || one.name.is_some() {
                all.push(one);
                continue;
            }
            for mut inner in self.walk(one.owner, rest, of_item, seen) {
                inner.forwarded_by.extend(&one.forwarded_by);
                all.push(inner);
            }
        }
        all
    }

    /// Looks a name up in a module: in itself if the path stands there, else
    /// from elsewhere.
    fn lookup(
        &self,
        at: ModuleId,
        name: &str,
        in_itself: bool,
        of_item: bool,
        seen: &mut Seen,
    ) -> Vec<Found> {
        let module = &self.modules[at];
        let mut found: Vec<Found> = Vec::new();
        for &child in &module.children {
            if self.modules[child].name == name {
                found.push(Found {
                    owner: child,
                    name: None,
                    forwarded_by: Vec::new(),
                });
            }
        }
        if module.items.iter().any(|known| known == name) {
            found.push(item(at, name));
        }
        for (place, import) in module.imports.iter().enumerate() {
            if import.name.as_deref() != Some(name)
                || import.reach == Reach::Function && !in_itself
                || seen.contains(&(at, place))
            {
                continue;
            }
            seen.push((at, place));
            let inner = self.follow(at, &import.path, of_item, seen);
            seen.pop();
            if inner.is_empty() && !in_itself {
                // A name of another crate, which this module passes on.
                found.push(item(at, name));
            }
            found.extend(passed_on(inner, at, in_itself));
        }
        if found.is_empty() {
            found = self.lookup_in_globs(at, name, in_itself, of_item, seen);
        }
        // The same name may be that of a module and of a function.
        if found.iter().any(|one| one.name.is_none() != of_item) {
            found.retain(|one| one.name.is_none() != of_item);
        }
        found
    }

    fn lookup_in_globs(
        &self,
        at: ModuleId,
        name: &str,
        in_itself: bool,
        of_item: bool,
        seen: &mut Seen,
    ) -> Vec<Found> {
        let mut found = Vec::new();
        for (place, import) in self.modules[at].imports.iter().enumerate() {
            if import.name.is_some()
                || import.reach == Reach::Function && !in_itself
                || seen.contains(&(at, place))
            {
                continue;
            }
            seen.push((at, place));
            for module in self.follow(at, &import.path, false, seen) {
                if module.name.is_none() {
                    let inner = self.lookup(module.owner, name, false, of_item, seen);
                    found.extend(passed_on(inner, at, in_itself));
                }
            }
            seen.pop();
        }
        found
    }
}

/// Notes that a module passes names on, if they are looked up from elsewhere.
fn passed_on(mut found: Vec<Found>, by: ModuleId, in_itself: bool) -> Vec<Found> {
    if !in_itself {
        found.iter_mut().for_each(|one| one.forwarded_by.push(by));
    }
    found
}

fn item(owner: ModuleId, name: &str) -> Found {
    Found {
        owner,
        name: Some(name.to_owned()),
        forwarded_by: Vec::new(),
    }
}
