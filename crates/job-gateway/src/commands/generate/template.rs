//! `--generate config`: a file of all settings, in comments.

use crate::config::schema::{Absent, Example, Setting, TABLES, Table};

use super::words::kind;

const WIDTH: usize = 90;

const BEGINNING: &str = "The settings of job-gateway, with their defaults. A # and a space begin a \
    comment. A # alone stands before a setting or the header of a table: remove it to set another \
    value, together with that of the header. `job-gateway --config FILE --check` prints all errors. \
    Times are such as \"90s\" or \"1h 30m\", sizes such as \"16KiB\". A secret is \
    { file = \"PATH\" } or { env = \"NAME\" }. Relative paths begin at the folder of this file.";

/// Returns the settings in TOML: without the `#` before each, the file means the defaults, with
/// examples where there is none.
pub(super) fn template() -> String {
    let mut text = String::new();
    comment(&mut text, BEGINNING);
    for table in TABLES {
        text.push('\n');
        comment(&mut text, &format!("{}.", table.meaning));
        if let Some(header) = table.headers.first() {
            let header = header.replace("NAME", "app");
            text += &format!("#{}\n", header.replace("HOST", "hooks.example.com"));
        }
        let is_shown = |setting: &&Setting| !is_alternative(table, setting);
        (table.settings.iter().filter(is_shown)).for_each(|each| add(&mut text, each));
        if table.headers == ["[[routes]]"] {
            let others = "A route may have each setting of [defaults], such as these.";
            text.push('\n');
            comment(&mut text, others);
            alternatives("[[routes]]").for_each(|setting| add(&mut text, setting));
        }
    }
    text
}

/// Returns whether a setting is a part of another one, which has a default.
fn is_alternative(table: &Table, setting: &Setting) -> bool {
    let outer = setting.key.split_once('.').map(|(outer, _)| outer);
    (table.settings.iter()).any(|other| Some(other.key) == outer)
}

fn alternatives(header: &str) -> impl Iterator<Item = &'static Setting> {
    let tables = TABLES
        .iter()
        .filter(move |table| table.headers.contains(&header));
    tables.flat_map(|table| {
        let settings = table.settings.iter();
        settings.filter(|setting| is_alternative(table, setting))
    })
}

fn add(text: &mut String, setting: &Setting) {
    let mut words = format!("{} Form: {}.", setting.meaning, kind(setting.kind));
    words += &match setting.absent {
        Absent::Value(_) => String::new(),
        Absent::Words(words) => format!(" Default: {words}."),
        Absent::Required => " Required.".to_owned(),
    };
    if setting.is_fixed {
        words += " Read at start only.";
    }
    text.push('\n');
    comment(text, &plain(&words));
    let key = setting.key;
    if let Example::Instead(value) = setting.example {
        *text += &format!("# For example: {key} = {value}\n");
    }
    match (setting.absent, setting.example) {
        (Absent::Value(value), _) | (_, Example::Value(value)) => {
            *text += &format!("#{key} = {value}\n");
        }
        _ => {}
    }
}

/// Returns a text without the marks of code and the targets of links.
fn plain(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("](") {
        plain.extend(before.rsplitn(2, '[').collect::<Vec<_>>().into_iter().rev());
        rest = after.split_once(')').map_or("", |(_, after)| after);
    }
    (plain + rest).replace('`', "")
}

/// Adds a comment, in lines that are not too long.
fn comment(text: &mut String, words: &str) {
    let mut line = String::from("#");
    for word in words.split_whitespace() {
        if line.len() + 1 + word.len() > WIDTH {
            *text += &format!("{line}\n");
            line = String::from("#");
        }
        line += &format!(" {word}");
    }
    *text += &format!("{line}\n");
}
