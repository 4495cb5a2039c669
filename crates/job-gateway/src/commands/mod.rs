//! The commands, one module each.

mod check;
mod print_config;
mod serve;

use std::process::ExitCode;

use crate::{
    arguments::Arguments,
    config::{Config, Report, Source, file},
};

/// The exit code of a command line or a configuration that cannot be used.
const UNUSABLE: u8 = 2;

/// Runs what the command line asks for.
pub(crate) fn run(arguments: Arguments) -> ExitCode {
    let loaded = file::load(arguments.config.as_deref(), &arguments.overrides());
    let done = match loaded {
        Ok((config, source)) => run_with(arguments, config, source),
        Err(report) => Err(report.into()),
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

fn run_with(arguments: Arguments, config: Config, source: Source) -> anyhow::Result<()> {
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
