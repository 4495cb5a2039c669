//! `--generate reference`: flags and settings in Markdown, as they stand in the manual.

use clap::{Arg, CommandFactory};

use super::words;
use crate::{
    arguments::Arguments,
    config::schema::{Absent, TABLES, Table},
};

/// Returns the flags and the settings in Markdown.
pub(super) fn reference() -> String {
    let mut text = String::from("### Flags\n\n| flag | meaning |\n|---|---|\n");
    let command = Arguments::command();
    command.get_arguments().for_each(|flag| text += &row(flag));
    TABLES.iter().for_each(|table| text += &section(table));
    text
}

fn row(flag: &Arg) -> String {
    let name = flag.get_long().unwrap_or_default();
    let takes_value = flag.get_action().takes_values();
    let value = flag.get_value_names().unwrap_or_default().first();
    let value = value
        .filter(|_| takes_value)
        .map(|value| format!(" {value}"));
    let help = flag.get_long_help().or(flag.get_help());
    let help = help.map(ToString::to_string).unwrap_or_default();
    let mut help = help.split_whitespace().collect::<Vec<_>>().join(" ");
    let values = flag.get_possible_values();
    let values: Vec<_> = values
        .iter()
        .map(|value| format!("`{}`", value.get_name()))
        .collect();
    if takes_value && !values.is_empty() {
        help += &format!(". One of {}", values.join(", "));
    }
    format!("| `--{name}{}` | {help} |\n", value.unwrap_or_default())
}

fn section(table: &Table) -> String {
    let headers: Vec<_> = table
        .headers
        .iter()
        .map(|header| format!("`{header}`"))
        .collect();
    let title = match headers.is_empty() {
        true => "At the top".to_owned(),
        false => headers.join(" and "),
    };
    let mut text = format!(
        "\n### {title}\n\n{}.\n\n| key | form | default | meaning |\n|---|---|---|---|\n",
        table.meaning
    );
    for setting in table.settings {
        let mark = if setting.is_fixed { " \\*" } else { "" };
        let kind = words::kind(setting.kind);
        let absent = match setting.absent {
            Absent::Value(value) => format!("`{value}`"),
            Absent::Words(words) => words.to_owned(),
            Absent::Required => "required".to_owned(),
        };
        text += &format!(
            "| `{}`{mark} | {kind} | {absent} | {} |\n",
            setting.key, setting.meaning
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use std::{env, fs, path::Path};

    use super::reference;

    const BEGIN: &str = "<!-- The reference begins: generated, see below. -->\n";
    const END: &str = "<!-- The reference ends. ";

    /// With `UPDATE_EXPECTED=1` in the environment, the reference is written instead.
    #[test]
    fn the_reference_in_the_manual_is_that_of_the_program() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/gateway.md");
        let manual = fs::read_to_string(&path).unwrap();
        let (before, rest) = manual.split_once(BEGIN).unwrap();
        let (found, after) = rest.split_once(END).unwrap();
        let expected = format!("\n{}\n", reference());
        if env::var_os("UPDATE_EXPECTED").is_some() {
            fs::write(&path, format!("{before}{BEGIN}{expected}{END}{after}")).unwrap();
            return;
        }
        assert!(
            found == expected,
            "the reference in docs/gateway.md is stale: write it by `UPDATE_EXPECTED=1 cargo test \
             -p job-gateway --bin job-gateway reference`"
        );
    }
}
