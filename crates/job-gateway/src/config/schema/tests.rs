//! The readers of a file are held to the schema.

use std::{collections::BTreeSet, path::Path};

use super::{Absent, Example, Kind, Setting, TABLES, Table};
use crate::config::{Config, Overrides, Report, Source, file::parse, swap::check_swap};

/// A key that is near none.
const UNKNOWN: &str = "zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz";

fn parsed(text: &str) -> Result<(Config, Source), Report> {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/config"));
    let path = "gateway.toml".to_owned();
    parse(
        path,
        text.to_owned(),
        folder.to_owned(),
        &Overrides::default(),
    )
}

/// Returns the parts of a header, such as `callbacks`, `hosts` and `"HOST"`.
fn parts(header: &str) -> Vec<&str> {
    let parts = header.trim_matches(['[', ']']).split('.');
    parts.filter(|part| !part.is_empty()).collect()
}

/// Returns the header of each table, and the keys in it: those of the schema.
fn of_schema() -> Vec<(&'static str, Vec<&'static str>)> {
    let headers = |table: &Table| match table.headers {
        [] => vec![""],
        headers => headers.to_vec(),
    };
    let mut all = Vec::new();
    for table in TABLES {
        for header in headers(table) {
            all.push((
                header,
                table.settings.iter().map(|setting| setting.key).collect(),
            ));
        }
    }
    all
}

/// Returns the keys that a table has, in the schema: its own, and those of the tables within.
fn expected(header: &str, prefix: &[&str]) -> BTreeSet<String> {
    let place = [parts(header), prefix.to_vec()].concat();
    let mut keys = BTreeSet::new();
    for (header, settings) in of_schema() {
        let outer = parts(header);
        let inner = settings.iter().map(|key| key.split('.').collect());
        for inner in inner.chain([vec![]]) {
            let full = [outer.clone(), inner].concat();
            if full.len() > place.len() && full.starts_with(&place) {
                keys.insert(full[place.len()].to_owned());
            }
        }
    }
    keys
}

/// Returns the keys that the reader names, as it refuses another one.
fn read(header: &str, prefix: &[&str]) -> BTreeSet<String> {
    let key = [prefix, &[UNKNOWN]].concat().join(".");
    let report = parsed(&format!("{header}\n{key} = 1\n"))
        .unwrap_err()
        .to_string();
    let help = report.split("help: the keys here are ").nth(1);
    let help = help.unwrap_or_else(|| panic!("{header} {prefix:?}\n{report}"));
    let line = help.lines().next().unwrap();
    line.split('`')
        .skip(1)
        .step_by(2)
        .map(str::to_owned)
        .collect()
}

#[test]
fn each_key_that_is_read_is_in_the_schema_and_each_key_in_it_is_read() {
    let mut places = BTreeSet::new();
    for (header, keys) in of_schema() {
        places.insert((header, Vec::new()));
        for key in keys {
            let parts: Vec<_> = key.split('.').collect();
            (1..parts.len()).for_each(|end| {
                places.insert((header, parts[..end].to_vec()));
            });
        }
    }
    assert!(places.len() > TABLES.len(), "{places:?}");
    for (header, prefix) in places {
        assert_eq!(
            read(header, &prefix),
            expected(header, &prefix),
            "the table {header:?} {prefix:?}: the left keys are read, the right ones are in \
             config/schema"
        );
    }
    assert_eq!(
        read("", &["store"]),
        ["env", "file"].map(str::to_owned).into()
    );
}

/// Returns a file with one setting.
fn file_with(header: &str, setting: &Setting, value: &str) -> String {
    format!("{header}\n{} = {value}\n", setting.key)
}

#[test]
fn each_range_is_that_of_the_reader() {
    let mut compared = 0;
    for table in TABLES {
        let header = table.headers.first().unwrap_or(&"");
        for setting in table.settings {
            let (beyond, words) = match setting.kind {
                Kind::Boolean => ("1", vec!["expected true or false".to_owned()]),
                Kind::Time(least, most) => (
                    "\"9000years\"",
                    vec![format!("must be from {least} to {most}")],
                ),
                Kind::Size(least, most) => (
                    "\"9000TiB\"",
                    vec![format!("must be from {least} to {most}")],
                ),
                Kind::Number(_, least, most) => (
                    "999999999999",
                    vec![format!("must be from {least} to {most}")],
                ),
                Kind::Numbers(least, most) => (
                    "[999999999999]",
                    vec![format!("must be from {least} to {most}")],
                ),
                Kind::Choice(values) => (
                    "\"zzzzzzzz\"",
                    values.iter().map(|&value| value.to_owned()).collect(),
                ),
                Kind::Text(_) => ("1", vec!["expected a".to_owned()]),
                Kind::List(_) | Kind::Secrets => ("1", vec!["expected an array".to_owned()]),
                Kind::TextOrSecret(_) => ("1", vec!["expected a string".to_owned()]),
            };
            let report = parsed(&file_with(header, setting, beyond))
                .unwrap_err()
                .to_string();
            for words in words {
                assert!(
                    report.contains(&words),
                    "{header} {}: {words}\n{report}",
                    setting.key
                );
                compared += 1;
            }
        }
    }
    assert!(compared > 40, "{compared}");
}

/// Returns a file with what is required, and with the defaults as well. Tokens need a table of theirs in
/// place of another default.
fn file(with_defaults: bool, with_tokens: bool) -> String {
    let mut text = String::new();
    for table in TABLES {
        let header = table.headers.first().unwrap_or(&"");
        text += &format!("{}\n", header.replace("HOST", "hooks.example.com"));
        for setting in table.settings {
            let is_left_out = match setting.key {
                "principal" => with_tokens,
                key => key.starts_with("principal.jwt.") && !with_tokens,
            };
            let value = match (setting.absent, setting.example) {
                (Absent::Value(value), _) if with_defaults => value,
                (Absent::Required, Example::Value(value)) => value,
                _ => continue,
            };
            if !is_left_out {
                text += &format!("{} = {value}\n", setting.key);
            }
        }
    }
    text
}

#[test]
fn each_default_is_that_of_the_reader() {
    for with_tokens in [false, true] {
        let [least, all] = [false, true].map(|with_defaults| {
            let text = file(with_defaults, with_tokens);
            let read = parsed(&text).map(|(config, _)| config);
            read.unwrap_or_else(|report| panic!("{report}"))
        });
        assert_eq!(all, least);
    }
    assert!(file(true, true).lines().count() > file(false, true).lines().count() + 30);
}

/// Returns another value of a setting than this one, in TOML.
fn other_value(setting: &Setting, value: &str) -> Option<String> {
    let most = |most: &str| format!("\"{most}\"");
    match setting.kind {
        Kind::Boolean => Some((value == "false").to_string()),
        Kind::Time(_, longest) => Some(most(longest)),
        Kind::Size(_, largest) => Some(most(largest)),
        Kind::Number(_, _, greatest) => Some(greatest.replace(',', "")),
        Kind::Choice(values) => {
            let other = values.iter().find(|&&other| other != value);
            other.map(|&other| other.to_owned())
        }
        _ => match setting.example {
            Example::Value(other) if other != value => Some(other.to_owned()),
            _ => None,
        },
    }
}

#[test]
fn each_other_setting_is_replaced_by_a_reload() {
    let text = file(true, false);
    let (running, _) = parsed(&text).unwrap_or_else(|report| panic!("{report}"));
    let mut replaced = 0;
    let all = || TABLES.iter().flat_map(|table| table.settings);
    // The line of a key that stands in several tables could be that of another one. Results that are
    // delivered later need a URL, and own jobs a principal, which the defaults have not.
    let is_unique = |key| all().filter(|setting| setting.key == key).count() == 1;
    let needs_others = |key| ["result_later", "own_jobs"].contains(&key);
    let is_tried = |setting: &&Setting| is_unique(setting.key) && !needs_others(setting.key);
    for setting in all().filter(is_tried) {
        let line = text
            .lines()
            .find(|line| line.starts_with(&format!("{} = ", setting.key)));
        let value = line.and_then(|line| line.split_once(" = "));
        let Some((line, (_, value))) = line.zip(value) else {
            continue;
        };
        let Some(other) = other_value(setting, value) else {
            continue;
        };
        let text = text.replacen(line, &format!("{} = {other}", setting.key), 1);
        let (changed, source) = parsed(&text).unwrap_or_else(|report| panic!("{report}"));
        assert_ne!(changed, running, "{}", setting.key);
        let swapped = check_swap(&running, &changed, source);
        assert_eq!(swapped.is_err(), setting.is_fixed, "{}", setting.key);
        if !setting.is_fixed {
            assert_eq!(changed.fixed(), running.fixed(), "{}", setting.key);
            replaced += 1;
        }
    }
    assert!(replaced > 25, "{replaced}");
}

#[test]
fn the_settings_that_no_reload_changes_are_those_that_are_fixed() {
    let fixed = |table: &Table| {
        let header = table.headers.first().copied().unwrap_or_default();
        let fixed = table.settings.iter().filter(|setting| setting.is_fixed);
        let key = |setting: &Setting| [parts(header), vec![setting.key]].concat().join(".");
        fixed.map(key).collect::<Vec<_>>()
    };
    let mut expected: BTreeSet<_> = TABLES.iter().flat_map(fixed).collect();
    for part in ["tls.certificate", "tls.key"] {
        assert!(expected.remove(part), "{part}");
    }
    expected.insert("tls".to_owned());

    let (running, _) = parsed("[upstreams.app]\nurl = \"http://a\"\n").unwrap();
    let mut text =
        String::from("[upstreams.app]\nurl = \"http://b\"\nroots = \"certificate.pem\"\n");
    for (key, value) in [
        ("listen", "[\"127.0.0.1:1\"]"),
        (
            "tls",
            "{ certificate = \"certificate.pem\", key = \"key.pem\" }",
        ),
        ("admin", "\"127.0.0.1:2\""),
        ("base", "\"/jobs\""),
        ("public_base", "\"/app/jobs\""),
        ("events", "true"),
        ("own_jobs", "true"),
        ("trusted_proxies", "[\"10.0.0.0/8\"]"),
        ("defaults", "{ principal = { header = \"X-User\" } }"),
        ("name", "\"edge\""),
        ("store", "\"sqlite:jobs.db\""),
        ("lease", "\"7s\""),
        ("max_bytes", "\"1GiB\""),
        ("threads", "7"),
        ("grace", "\"7s\""),
        ("progress.listen", "\"127.0.0.1:3\""),
    ] {
        text = format!("{key} = {value}\n{text}");
    }
    let (changed, source) = parsed(&text).unwrap_or_else(|report| panic!("{report}"));
    let report = check_swap(&running, &changed, source)
        .unwrap_err()
        .to_string();
    let refused = report
        .lines()
        .filter_map(|line| line.strip_prefix("error: `"));
    let refused =
        refused.filter_map(|line| line.strip_suffix("` cannot change while the gateway runs"));
    assert_eq!(
        refused.map(str::to_owned).collect::<BTreeSet<_>>(),
        expected
    );
}
