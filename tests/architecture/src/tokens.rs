//! Paths among the tokens of macros and attributes.

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// Calls `found` with each path among the tokens and its line.
///
/// Tokens have no grammar: each name counts that does not follow a dot, with
/// the names that follow it after `::`, also in braces. Strings count that
/// begin as a path of the crate.
pub(crate) fn scan(tokens: &TokenStream, found: &mut dyn FnMut(Vec<String>, usize)) {
    within(tokens, &[], found);
}

const KEYWORDS: [&str; 4] = ["crate", EXPORTED, "self", "super"];

/// The crate of a macro, wherever it is called.
pub(crate) const EXPORTED: &str = "$crate";

fn within(tokens: &TokenStream, prefix: &[String], found: &mut dyn FnMut(Vec<String>, usize)) {
    let tokens: Vec<TokenTree> = tokens.clone().into_iter().collect();
    let mut at = 0;
    while at < tokens.len() {
        let begun = at;
        at += 1;
        match &tokens[begun] {
            TokenTree::Group(group) => within(&group.stream(), &[], found),
            TokenTree::Literal(literal) => {
                let text = literal.to_string();
                let text = text.trim_matches('"');
                let first = text.split_once("::").map_or("", |(first, _)| first);
                if KEYWORDS.contains(&first) {
                    let path = text
                        .split("::")
                        .map(|name| name.trim().to_owned())
                        .collect();
                    found(path, literal.span().start().line);
                }
            }
            TokenTree::Ident(ident) if ident == "as" && !prefix.is_empty() => at += 1,
            TokenTree::Ident(ident) if begins_a_path(&tokens[..begun], ident == "crate") => {
                let mut path = prefix.to_vec();
                let exported = ident == "crate" && follows_dollar(&tokens[..begun]);
                path.push(if exported {
                    EXPORTED.to_owned()
                } else {
                    ident.to_string()
                });
                let mut group = None;
                while is_colons(&tokens[at..]) {
                    match tokens.get(at + 2) {
                        Some(TokenTree::Ident(next)) => path.push(next.to_string()),
                        Some(TokenTree::Group(inner)) if inner.delimiter() == Delimiter::Brace => {
                            group = Some(inner.stream());
                        }
                        _ => break,
                    }
                    at += 3;
                }
                if !prefix.is_empty() && path.last().is_some_and(|last| last == "self") {
                    path.pop();
                }
                match group {
                    Some(group) => within(&group, &path, found),
                    // As in `pub(crate)`.
                    None if path.len() == 1 && KEYWORDS.contains(&path[0].as_str()) => {}
                    None => found(path, ident.span().start().line),
                }
            }
            TokenTree::Ident(_) | TokenTree::Punct(_) => {}
        }
    }
}

fn is_colons(tokens: &[TokenTree]) -> bool {
    matches!(tokens, [TokenTree::Punct(first), TokenTree::Punct(second), ..]
        if first.as_char() == ':' && second.as_char() == ':')
}

fn follows_dollar(before: &[TokenTree]) -> bool {
    matches!(before.last(), Some(TokenTree::Punct(punct)) if punct.as_char() == '$')
}

/// Returns whether a name after these tokens is the first of a path: not a
/// field, a lifetime, a macro's variable, or the rest of another path.
fn begins_a_path(before: &[TokenTree], is_crate: bool) -> bool {
    let punct = |back: usize| match before.len().checked_sub(back).map(|at| &before[at]) {
        Some(TokenTree::Punct(punct)) => Some(punct.as_char()),
        _ => None,
    };
    match punct(1) {
        Some('.') => punct(2) == Some('.'),
        Some('\'') => false,
        Some('$') => is_crate,
        Some(':') => punct(2) != Some(':'),
        _ => true,
    }
}
