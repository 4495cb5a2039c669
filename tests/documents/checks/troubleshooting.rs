//! Holds `docs/troubleshooting.md` to the messages of the layers and of `poll`: each one has a row, and
//! each row has the text of a message.

use std::collections::BTreeSet;

use crate::{
    messages::{
        assert_explained, group, is_message, literal, literals, messages_in, messages_of, shown,
        sources,
    },
    sources::read,
};

const LOG: [&str; 2] = ["tracing::warn!(", "tracing::error!("];

/// The crates whose errors and logs are explained.
const LIBRARIES: [&str; 4] = [
    "http-polling",
    "tower-poll",
    "tower-async-job",
    "tower-async-job-core",
];

/// The crates whose logs are explained. `docs/stores.md` explains their errors.
const STORES: [&str; 4] = [
    "tower-async-job-offload",
    "tower-async-job-postgres",
    "tower-async-job-redis",
    "tower-async-job-sqlite",
];

/// The texts in `Display` of the libraries that are no messages, but parts of them.
const PARTS: [&str; 6] = [
    ": `{setting}` is {value}",
    "at least {bytes} bytes",
    "back by {by:?}",
    "forward by {by:?}",
    "{bytes} bytes",
    "hint: {hint}",
];

/// The files of `poll` whose texts are no messages of failures.
const OTHER_FILES: [&str; 7] = [
    "/src/check/",
    "/commands/generate.rs",
    "/exit/code.rs",
    "/progress.rs",
    "/trace.rs",
    "/words/duration.rs",
    "/src/check.rs",
];

/// The texts in the other files of `poll` that are no messages, but parts of them or of output.
const OTHER_TEXTS: [&str; 18] = [
    " (--poll-202 asks again)",
    "--{boundary}\r\nContent-Disposition: form-data; name=\"{}\"",
    "; filename=\"{}\"",
    "Examples:{EXAMPLES}\nExit codes:{EXIT_CODES}",
    "\r\nContent-Type: {media_type}",
    "a poll failed: ",
    "done: {status}",
    "hint: {hint}",
    "multipart/form-data; boundary={boundary}",
    "private key",
    "standard input",
    "standard output",
    "the proxy {proxy}",
    "the server said: {said}",
    "the server sent Location: {}",
    "{json}\nresume with: poll resume '{quoted}'",
    "{peer} answered {}",
    "{peer} has not answered",
];

/// Returns whether a text has more than the values in it, and words between them.
fn has_words(text: &str) -> bool {
    text.contains(' ') && text.chars().filter(|char| char.is_alphabetic()).count() > 3
}

/// Returns the texts in the `Display` of all types of a source.
fn displayed(source: &str) -> Vec<String> {
    let mut texts = Vec::new();
    for (at, word) in source.match_indices("Display for ") {
        let body = &source[at + word.len()..];
        let body = group(&body[body.find('{').expect("a body")..]);
        texts.extend(literals(body));
    }
    texts.retain(|text| !PARTS.contains(&&**text));
    texts
}

/// Returns the texts that follow a word at once.
fn after(source: &str, word: &str) -> Vec<String> {
    let places = source.match_indices(word);
    let texts = places.filter_map(|(at, _)| {
        let rest = source[at + word.len()..].trim_start();
        rest.starts_with('"').then(|| literal(rest, 0))?
    });
    texts.map(|(text, _)| text).collect()
}

/// Returns a source without comments, attributes and raw texts.
fn code(source: &str) -> String {
    let mut code = String::new();
    let mut rest = source;
    while let Some(char) = rest.chars().next() {
        let is_begin = code.trim_end_matches([' ', '\t']).ends_with('\n') || code.is_empty();
        let skipped = if rest.starts_with("//") && is_begin {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("#[") {
            1 + group(&rest[1..]).len()
        } else if rest.starts_with("r#\"") {
            rest.find("\"#").map_or(rest.len(), |end| end + 2)
        } else if char == '"' && !code.ends_with('\'') {
            let length = literal(rest, 0).map_or(rest.len(), |(_, after)| after);
            code += &rest[..length];
            rest = &rest[length..];
            continue;
        } else {
            code.push(char);
            char.len_utf8()
        };
        rest = &rest[skipped..];
    }
    code
}

/// Returns the messages of `poll`: all texts of its sources, except those that are listed.
fn messages_of_poll() -> Vec<String> {
    let mut found = Vec::new();
    for (path, source) in sources("crates/poll-cli/src") {
        if OTHER_FILES.iter().any(|file| path.contains(file)) {
            continue;
        }
        let code = code(&source);
        let expected = messages_of(&code, &[".expect("], true);
        let texts = literals(&code).into_iter();
        found.extend(texts.filter(|text| {
            is_message(&text) && !expected.contains(text) && !OTHER_TEXTS.contains(&&**text)
        }));
    }
    // The lines that do not pass through the end of the command name it themselves.
    let named = |text: String| {
        text.strip_prefix("poll: ")
            .unwrap_or(&text)
            .trim()
            .to_owned()
    };
    found.into_iter().map(named).collect()
}

/// Returns the messages of all crates.
fn messages() -> BTreeSet<String> {
    let mut messages = Vec::new();
    for name in LIBRARIES {
        for (path, source) in sources(&format!("crates/{name}/src")) {
            messages.extend(messages_of(&source, &LOG, false));
            messages.extend(displayed(&source));
            // Not the examples of comments.
            let code = code(&source);
            messages.extend(messages_of(&code, &["with_detail("], true));
            messages.extend(after(&code, "let detail ="));
            messages.extend(after(&code, "let detail = format!("));
            messages.extend(after(&code, "failed(&*error,"));
            messages.extend(after(&code, "Refusal::new("));
            messages.extend(after(&code, "Refusal::cross_origin("));
            messages.extend(after(&code, "REDIRECTED: &str ="));
            if path.ends_with("pending_job/wire.rs") {
                let texts = literals(&code).into_iter();
                messages.extend(texts.filter(|text| is_message(&text)));
            }
        }
    }
    for name in STORES {
        for (_, source) in sources(&format!("crates/{name}/src")) {
            messages.extend(messages_of(&source, &LOG, false));
        }
    }
    for (path, function) in [
        ("http-polling/src/problem_type.rs", "fn title("),
        ("tower-async-job/src/run/watch.rs", "fn failure("),
    ] {
        messages.extend(messages_in(&format!("crates/{path}"), function));
    }
    messages.extend(messages_of_poll());
    let shown = messages.iter().map(|message| shown(message));
    shown.filter(|message| has_words(message)).collect()
}

#[test]
fn every_message_of_the_layers_and_of_poll_is_explained_and_no_other() {
    let document = read("docs/troubleshooting.md").expect("the document");
    assert_explained(&messages(), &document, "docs/troubleshooting.md");
}

#[test]
fn every_text_that_is_left_out_is_in_a_source() {
    let texts = |folder: &str| -> Vec<String> {
        let sources = sources(folder).into_iter();
        sources
            .flat_map(|(_, source)| literals(&code(&source)))
            .collect()
    };
    let libraries: Vec<_> = LIBRARIES
        .iter()
        .flat_map(|name| texts(&format!("crates/{name}/src")))
        .collect();
    let poll = texts("crates/poll-cli/src");
    let is_unused = |texts: &[String], text: &&str| !texts.iter().any(|other| other == text);
    let parts = PARTS.iter().filter(|text| is_unused(&libraries, text));
    let others = OTHER_TEXTS.iter().filter(|text| is_unused(&poll, text));
    let unused: Vec<_> = parts.chain(others).collect();
    assert!(unused.is_empty(), "{unused:?}");
}

#[test]
fn messages_are_found_where_they_are_written() {
    let source = r##"
// A "comment with words".
#[value(help = "an attribute with words")]
impl fmt::Display for E {
    fn fmt(&self) { write!("the {part} failed") }
}
const RAW: &str = r#"raw "text" with words"#;
fn a() { let detail = "the detail of it"; f('"', "another text"); }
"##;
    assert_eq!(displayed(source), ["the {part} failed"]);
    let code = code(source);
    let found: Vec<_> = literals(&code)
        .into_iter()
        .filter(|it| has_words(it))
        .collect();
    assert_eq!(
        found,
        ["the {part} failed", "the detail of it", "another text"]
    );
    assert_eq!(after(&code, "let detail ="), ["the detail of it"]);
}
