//! The commands, one module each.

mod check;
mod generate;
mod print_config;
mod serve;

use std::process::ExitCode;

use crate::{
    arguments::Arguments,
    config::{Report, file},
};

/// The exit code of a command line or a configuration that cannot be used.
const UNUSABLE: u8 = 2;

/// Runs what the command line asks for.
pub(crate) fn run(arguments: Arguments) -> ExitCode {
    let done = match arguments.generate {
        Some(what) => generate::generate(what),
        None => run_with_settings(arguments),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.is::<Report>() => {
            eprintln!("{error}");
            ExitCode::from(UNUSABLE)
        }
        Err(error) => {
            eprintln!("job-gateway: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run_with_settings(arguments: Arguments) -> anyhow::Result<()> {
    let (config, source) = file::load(arguments.config.as_deref(), &arguments.overrides())?;
    if arguments.print_config {
        print_config::print_config(&config);
        return Ok(());
    }
    if arguments.check {
        check::check(&config, source)?;
        println!("the settings can be used");
        return Ok(());
    }
    serve::serve(arguments, config, source)
}
