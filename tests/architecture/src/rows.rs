//! The rows of a crate.

use syn::Item;

/// The modules of a root's rows: `mod` lines without a blank line or another
/// item between them are one row.
pub(crate) fn rows(items: &[Item], text: &str) -> Vec<Vec<String>> {
    let lines: Vec<&str> = text.lines().collect();
    let mut rows: Vec<Vec<String>> = Vec::new();
    let mut last_end = None;
    for item in items {
        let Item::Mod(module) = item else {
            last_end = None;
            continue;
        };
        let begin = match module.attrs.first() {
            Some(attribute) => attribute.pound_token.span.start().line,
            None => module.mod_token.span.start().line,
        };
        let goes_on = last_end.is_some_and(|end: usize| {
            lines[end..begin - 1]
                .iter()
                .all(|line| !line.trim().is_empty())
        });
        match rows.last_mut() {
            Some(row) if goes_on => row.push(module.ident.to_string()),
            _ => rows.push(vec![module.ident.to_string()]),
        }
        last_end = Some(match &module.content {
            Some((brace, _)) => brace.span.close().end().line,
            None => module.ident.span().end().line,
        });
    }
    rows
}
