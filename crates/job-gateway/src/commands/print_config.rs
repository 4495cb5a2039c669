//! `--print-config`: the effective settings.

use crate::config::{Config, print::print};

/// Prints the settings as a file that means the same. Secrets are named, not shown.
pub(super) fn print_config(config: &Config) {
    print!("{}", print(config));
}
