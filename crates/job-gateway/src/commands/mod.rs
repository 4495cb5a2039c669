//! The commands, one module each.

mod serve;

use std::process::ExitCode;

use crate::{arguments::Arguments, config::file};

/// The exit code of a command line or a configuration that cannot be used.
const UNUSABLE: u8 = 2;

/// Runs what the command line asks for.
pub(crate) fn run(arguments: Arguments) -> ExitCode {
    let (config, _) = match file::load(arguments.config.as_deref(), &arguments.overrides()) {
        Ok(loaded) => loaded,
        Err(report) => {
            eprintln!("{report}");
            return ExitCode::from(UNUSABLE);
        }
    };
    match serve::serve(config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("job-gateway: {error:#}");
            ExitCode::FAILURE
        }
    }
}
