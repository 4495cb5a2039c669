//! Holds the troubleshooting of `docs/gateway.md` to the messages of the gateway: each one has a row, and
//! each row has the text of a message.

use std::collections::BTreeSet;

use crate::{
    messages::{
        assert_explained, group, literals, messages_in, messages_of, shown, sources, without_tests,
    },
    sources::read,
};

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

/// Returns the troubleshooting.
fn section(document: &str) -> &str {
    let (_, part) = document
        .split_once("\n## Troubleshooting\n")
        .expect("the part");
    part.split("\n## ").next().expect("never empty")
}

#[test]
fn every_message_of_the_gateway_is_explained_and_no_other() {
    let document = read("docs/gateway.md").expect("the document");
    assert_explained(
        &messages(),
        section(&document),
        "docs/gateway.md, Troubleshooting",
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
