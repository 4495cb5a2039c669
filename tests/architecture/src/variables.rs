//! The variables of functions.

use std::collections::BTreeSet;

use syn::visit::{self, Visit};

/// Finds the names of variables, which hide functions of the same name.
pub(crate) struct Variables<'a>(pub(crate) &'a mut BTreeSet<String>);

impl<'ast> Visit<'ast> for Variables<'_> {
    fn visit_pat_ident(&mut self, pattern: &'ast syn::PatIdent) {
        let name = pattern.ident.to_string();
        if !is_constant(&name) {
            self.0.insert(name);
        }
        visit::visit_pat_ident(self, pattern);
    }
}

/// Returns whether a name in a pattern is that of a constant or a type.
pub(crate) fn is_constant(name: &str) -> bool {
    name.starts_with(char::is_uppercase)
}
