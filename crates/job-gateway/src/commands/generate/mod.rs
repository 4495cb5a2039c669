//! `--generate`: the files of a package, and the reference of the manual.

mod man;
mod reference;
mod template;

mod words;

use std::io::{self, Write as _};

use anyhow::Context;
use clap::CommandFactory;
use clap_complete::Shell;

use crate::arguments::{Arguments, Generate};

/// Writes a file to the standard output.
///
/// # Errors
///
/// Fails if the output takes no bytes.
pub(super) fn generate(what: Generate) -> anyhow::Result<()> {
    let text = text(what)?;
    let written = io::stdout().write_all(text.as_bytes());
    written.context("the standard output cannot be written")
}

fn text(what: Generate) -> anyhow::Result<String> {
    Ok(match what {
        Generate::Man => man::man()?,
        Generate::Config => template::template(),
        Generate::Unit => include_str!("job-gateway.service").to_owned(),
        Generate::Socket => include_str!("job-gateway.socket").to_owned(),
        Generate::Reference => reference::reference(),
        Generate::Bash => completions(Shell::Bash),
        Generate::Elvish => completions(Shell::Elvish),
        Generate::Fish => completions(Shell::Fish),
        Generate::Powershell => completions(Shell::PowerShell),
        Generate::Zsh => completions(Shell::Zsh),
    })
}

fn completions(shell: Shell) -> String {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "job-gateway", &mut text);
    String::from_utf8_lossy(&text).into_owned()
}
