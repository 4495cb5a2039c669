//! Holds the troubleshooting of `docs/gateway.md` to the messages of the gateway: each one has a row, and
//! each row has the text of a message.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use crate::sources::{read, root};

/// A string literal in the source, and the place after it.
fn literal(source: &str, from: usize) -> Option<(String, usize)> {
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
                char => text.push(char),
            },
            char => text.push(char),
        }
    }
    None
}

/// Returns the string literals of a piece of source.
fn literals(source: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some((text, after)) = literal(source, at) {
        found.push(text);
        at = after;
    }
    found
}

/// Returns the source from an opening parenthesis or brace to the closing one.
fn group(source: &str) -> &str {
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
fn shown(message: &str) -> String {
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

fn is_message(text: &&String) -> bool {
    text.contains(' ') && text.chars().filter(|char| char.is_alphabetic()).count() > 5
}

/// Returns the messages in the parentheses after each of these words: the last text, or all.
fn messages_of(source: &str, words: &[&str], all: bool) -> Vec<String> {
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
fn messages_in(path: &str, function: &str) -> Vec<String> {
    let source = read(path).expect("a source");
    let (_, body) = source.split_once(function).expect("the function");
    let body = group(&body[body.find('{').expect("a body")..]);
    let texts = literals(body).into_iter().filter(|text| is_message(&text));
    texts.collect()
}

/// Returns a source without the tests at its end.
fn without_tests(source: &str) -> String {
    let end = source.find("\n#[cfg(test)]\nmod tests {");
    source[..end.unwrap_or(source.len())].to_owned()
}

/// Returns the paths and the texts of the sources beneath a folder, without those of tests.
fn sources(folder: &str) -> Vec<(String, String)> {
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

/// Returns the messages that the gateway can write.
fn messages() -> BTreeSet<String> {
    const LOG: [&str; 2] = ["tracing::warn!(", "tracing::error!("];
    const START: [&str; 3] = [".context(", "with_context(", "Error::other("];
    let mut messages = Vec::new();
    for (path, source) in sources("crates/job-gateway/src") {
        messages.extend(messages_of(&source, &LOG, false));
        match path.contains("/config/") {
            true => messages.extend(messages_of(&source, &["Problem::new("], true)),
            false => messages.extend(messages_of(&source, &START, true)),
        }
    }
    for (_, source) in sources("crates/tower-async-job/src") {
        messages.extend(messages_of(&source, &LOG, false));
    }
    for path in ["tls.rs", "principal/keys.rs", "commands/check.rs"] {
        let source = without_tests(&read(&format!("crates/job-gateway/src/{path}")).expect("it"));
        messages.extend(messages_of(&source, &["format!("], false));
    }
    let store = read("crates/job-gateway/src/store/mod.rs").expect("the stores");
    let (_, lacks) = store
        .split_once("concat!")
        .expect("a build may lack a store");
    messages.push(literals(group(lacks)).join("{}"));
    for (path, function) in [
        ("job-gateway/src/callback/receiver.rs", "fn of("),
        ("job-gateway/src/principal/mod.rs", "fn new("),
        ("job-gateway/src/principal/refusal.rs", "fn detail("),
        ("job-gateway/src/progress/refusal.rs", "fn detail("),
        ("job-gateway/src/proxy/respond.rs", "fn parts("),
        ("job-gateway/src/store/sqlite.rs", "fn explain("),
        ("job-gateway/src/store/sqlite.rs", "fn read_only("),
        ("http-polling/src/problem_type.rs", "fn title("),
        ("tower-async-job/src/run/watch.rs", "fn failure("),
    ] {
        messages.extend(messages_in(&format!("crates/{path}"), function));
    }
    let foreign = messages_in("crates/job-gateway/src/store/sqlite.rs", "fn foreign(");
    messages.extend(foreign.last().cloned());
    messages.iter().map(|message| shown(message)).collect()
}

/// Returns the messages in the first cells of the tables.
fn rows(document: &str) -> BTreeSet<String> {
    let (_, part) = document
        .split_once("\n## Troubleshooting\n")
        .expect("the part");
    let part = part.split("\n## ").next().expect("never empty");
    let cells = part
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once("` | "));
    cells
        .flat_map(|(cell, _)| cell.split("` `").map(str::to_owned))
        .collect()
}

#[test]
fn every_message_of_the_gateway_is_explained_and_no_other() {
    let document = read("docs/gateway.md").expect("the document");
    let (messages, rows) = (messages(), rows(&document));
    assert!(messages.len() > 100, "{messages:?}");
    let missing: Vec<_> = messages.difference(&rows).collect();
    let unknown: Vec<_> = rows.difference(&messages).collect();
    assert!(
        missing.is_empty() && unknown.is_empty(),
        "without a row in docs/gateway.md, Troubleshooting: {missing:#?}\nno message: {unknown:#?}"
    );
}

#[test]
fn every_metric_to_alert_on_is_recorded() {
    let document = read("docs/gateway.md").expect("the document");
    let (_, part) = document.split_once("\n### Monitoring\n").expect("the part");
    let part = part.split("\n### ").next().expect("never empty");
    let cells = part
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
    let names: Vec<_> = cells
        .filter_map(|(cell, _)| cell.split('{').next())
        .collect();
    assert!(names.len() > 5, "{names:?}");
    let sources = ["job-gateway", "tower-async-job"].map(|it| sources(&format!("crates/{it}/src")));
    for name in names {
        let quoted = format!("\"{name}\"");
        let mut sources = sources.iter().flatten();
        assert!(
            sources.any(|(_, source)| source.contains(&quoted)),
            "there is no {name}"
        );
    }
}

/// Returns the anchor that a heading has.
fn anchor(heading: &str) -> String {
    let text = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = text
        .chars()
        .filter(|char| char.is_alphanumeric() || " -_".contains(*char));
    kept.map(|char| if char == ' ' { '-' } else { char })
        .collect()
}

#[test]
fn every_link_within_the_manual_has_a_heading() {
    let document = read("docs/gateway.md").expect("the document");
    let headings = document.lines().filter(|line| line.starts_with('#'));
    let anchors: BTreeSet<_> = headings.map(anchor).collect();
    let links = document.split("](#").skip(1);
    let links: Vec<_> = links.filter_map(|link| link.split(')').next()).collect();
    assert!(links.len() > 20, "{links:?}");
    let broken: Vec<_> = links
        .iter()
        .filter(|link| !anchors.contains(**link))
        .collect();
    assert!(broken.is_empty(), "{broken:?}");
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
    let document = "\n## Troubleshooting\n\n| message | b |\n|---|---|\n| `a …` `b` | `c` |\n";
    assert_eq!(rows(document), ["a …", "b"].map(str::to_owned).into());
}
