//! The compiler of TypeScript.

use std::process::Command;

use crate::{
    Missing,
    program::{cached, installed},
};

/// Returns the command of the compiler.
///
/// # Errors
///
/// Fails if it is missing, or Node is.
pub fn typescript() -> Result<Command, Missing> {
    let mut command = Command::new(installed("node")?);
    command.arg(cached("typescript/node_modules/typescript")?.join("bin/tsc"));
    Ok(command)
}
