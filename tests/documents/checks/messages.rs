//! Messages in sources, and in the tables that explain them.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use crate::sources::{read, root};

/// A string literal in the source, and the place after it.
pub(crate) fn literal(source: &str, from: usize) -> Option<(String, usize)> {
    let begin = from + source[from..].find('"')?;
    // A quote that is a character.
    if source[..begin].ends_with('\'') && source[begin + 1..].starts_with('\'') {
        return literal(source, begin + 1);
    }
    let mut text = String::new();
    let mut chars = source[begin + 1..].char_indices();
    while let Some((at, char)) = chars.next() {
        match char {
            '"' => return Some((text, begin + 1 + at + 1)),
            '\\' => match chars.next()?.1 {
                '\n' => {
                    let rest = chars.clone();
                    let blanks = rest.take_while(|(_, char)| char.is_whitespace()).count();
                    (0..blanks).for_each(|_| {
                        chars.next();
                    });
                }
                'n' => text.push('\n'),
                'r' => text.push('\r'),
                char => text.push(char),
            },
            char => text.push(char),
        }
    }
    None
}

/// Returns the string literals of a piece of source.
pub(crate) fn literals(source: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some((text, after)) = literal(source, at) {
        found.push(text);
        at = after;
    }
    found
}

/// Returns the source from an opening parenthesis or brace to the closing one.
pub(crate) fn group(source: &str) -> &str {
    let mut depth = 0_usize;
    let mut at = 0;
    while let Some(char) = source[at..].chars().next() {
        match char {
            '"' => {
                at = literal(source, at).map_or(source.len(), |(_, after)| after);
                continue;
            }
            '(' | '{' | '[' => depth += 1,
            ')' | '}' | ']' => depth -= 1,
            _ => {}
        }
        at += char.len_utf8();
        if depth == 0 {
            break;
        }
    }
    &source[..at]
}

/// Returns a message with an ellipsis in place of each value.
pub(crate) fn shown(message: &str) -> String {
    let message = message.replace("{{", "\u{1}").replace("}}", "\u{2}");
    let mut parts = message.split('{');
    let mut shown = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        shown += "…";
        shown += part.split_once('}').map_or("", |(_, after)| after);
    }
    shown
        .replace('\u{1}', "{")
        .replace('\u{2}', "}")
        .replace('`', "'")
}

pub(crate) fn is_message(text: &&String) -> bool {
    text.contains(' ') && text.chars().filter(|char| char.is_alphabetic()).count() > 5
}

/// Returns the messages in the parentheses after each of these words: the last text, or all.
pub(crate) fn messages_of(source: &str, words: &[&str], all: bool) -> Vec<String> {
    let mut found = Vec::new();
    for word in words {
        for (at, _) in source.match_indices(word) {
            let texts = literals(group(&source[at + word.len() - 1..]));
            let mut texts: Vec<_> = texts.into_iter().filter(|text| is_message(&text)).collect();
            if !all {
                texts.drain(..texts.len().saturating_sub(1));
            }
            found.extend(texts);
        }
    }
    found
}

/// Returns the messages in the body of a function.
pub(crate) fn messages_in(path: &str, function: &str) -> Vec<String> {
    let source = read(path).expect("a source");
    let (_, body) = source.split_once(function).expect("the function");
    let body = group(&body[body.find('{').expect("a body")..]);
    let texts = literals(body).into_iter().filter(|text| is_message(&text));
    texts.collect()
}

/// Returns a source without the tests at its end.
pub(crate) fn without_tests(source: &str) -> String {
    let end = source.find("\n#[cfg(test)]\nmod tests {");
    source[..end.unwrap_or(source.len())].to_owned()
}

/// Returns the paths and the texts of the sources beneath a folder, without those of tests.
pub(crate) fn sources(folder: &str) -> Vec<(String, String)> {
    fn visit(path: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(path).expect("a folder") {
            let path = entry.expect("an entry").path();
            match path.file_stem().and_then(|name| name.to_str()) {
                Some("tests") => {}
                _ if path.is_dir() => visit(&path, found),
                _ if path.extension().is_some_and(|end| end == "rs") => found.push(path),
                _ => {}
            }
        }
    }
    let mut paths = Vec::new();
    visit(&root().join(folder), &mut paths);
    let read = |path: PathBuf| {
        let source = fs::read_to_string(&path).expect("a source");
        (path.display().to_string(), without_tests(&source))
    };
    paths.into_iter().map(read).collect()
}

/// Returns the messages in the first cells of the tables of a part.
fn rows(part: &str) -> BTreeSet<String> {
    let cells = part
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once("` | "));
    cells
        .flat_map(|(cell, _)| cell.split("` `").map(str::to_owned))
        .collect()
}

/// Asserts that each message has a row in this part of the documents, and each row is a message.
#[track_caller]
pub(crate) fn assert_explained(messages: &BTreeSet<String>, part: &str, place: &str) {
    let rows = rows(part);
    assert!(messages.len() > 100, "{messages:?}");
    let missing: Vec<_> = messages.difference(&rows).collect();
    let unknown: Vec<_> = rows.difference(messages).collect();
    assert!(
        missing.is_empty() && unknown.is_empty(),
        "without a row in {place}: {missing:#?}\nno message: {unknown:#?}"
    );
}

#[test]
fn messages_are_found_in_sources() {
    let source = r#"fn a() { tracing::warn!(%error, x = "a b", "it {what} {{fails}}: a \
        `name` of ')'"); bail.context("the second message")?; }"#;
    let found = |words, all| -> Vec<_> {
        let found = messages_of(source, words, all);
        found.iter().map(|message| shown(message)).collect()
    };
    assert_eq!(
        found(&["tracing::warn!("], false),
        ["it … {fails}: a 'name' of ')'"]
    );
    assert_eq!(found(&[".context("], true), ["the second message"]);
    let document = "| message | b |\n|---|---|\n| `a …` `b` | `c` |\n";
    assert_eq!(rows(document), ["a …", "b"].map(str::to_owned).into());
}
