//! `--generate`: man pages and completion scripts.

use clap::CommandFactory;
use clap_complete::{Shell, generate};
use clap_mangen::Man;

use crate::{
    arguments::{Arguments, EXAMPLES, Generate},
    exit::{Code, EXIT_CODES, Failure},
    output::Output,
};

pub(super) async fn run(what: Generate) -> Result<Code, Failure> {
    let text = match what {
        Generate::Man => man(None)?,
        Generate::ManResume => man(Some("resume"))?,
        Generate::ManStatus => man(Some("status"))?,
        Generate::ManCancel => man(Some("cancel"))?,
        Generate::ManCheck => man(Some("check"))?,
        Generate::ManList => man(Some("list"))?,
        Generate::Bash => completions(Shell::Bash),
        Generate::Elvish => completions(Shell::Elvish),
        Generate::Fish => completions(Shell::Fish),
        Generate::Powershell => completions(Shell::PowerShell),
        Generate::Zsh => completions(Shell::Zsh),
    };
    let text = String::from_utf8_lossy(&text);
    Output::default().text(text.trim_end()).await?;
    Ok(Code::Success)
}

fn completions(shell: Shell) -> Vec<u8> {
    let mut text = Vec::new();
    generate(shell, &mut Arguments::command(), "poll", &mut text);
    text
}

fn man(subcommand: Option<&str>) -> Result<Vec<u8>, Failure> {
    let mut command = Arguments::command().after_help(None).after_long_help(None);
    // Gives subcommands the names of their pages.
    command.build();
    let (page, examples) = match subcommand.and_then(|name| command.find_subcommand(name)) {
        Some(subcommand) => (subcommand.clone(), None),
        None => (command, Some(EXAMPLES)),
    };
    let mut text = Vec::new();
    Man::new(page)
        .render(&mut text)
        .map_err(|error| Failure::of_output(error, "the page"))?;
    if let Some(examples) = examples {
        text.extend(section("EXAMPLES", examples).into_bytes());
    }
    text.extend(section("EXIT STATUS", EXIT_CODES).into_bytes());
    Ok(text)
}

/// Formats a section whose line breaks are kept.
fn section(title: &str, lines: &str) -> String {
    let lines = lines.replace('\\', r"\e").replace('-', r"\-");
    format!(".SH {title}\n.nf{lines}\n.fi\n")
}
