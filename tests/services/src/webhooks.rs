//! Programs with the reference libraries of Standard Webhooks.

use std::process::Command;

use crate::{
    Missing,
    program::{cached, installed},
};

/// Returns Python, with `standardwebhooks` among its modules.
///
/// # Errors
///
/// Fails if one of them is missing.
pub fn python_webhooks() -> Result<Command, Missing> {
    let python = installed("python3")?;
    cached("python/standardwebhooks")?;
    let mut command = Command::new(python);
    command.env("PYTHONPATH", cached("python")?);
    Ok(command)
}

/// Returns Node, with `standardwebhooks` among its modules.
///
/// # Errors
///
/// Fails if one of them is missing.
pub fn node_webhooks() -> Result<Command, Missing> {
    let node = installed("node")?;
    let mut command = Command::new(node);
    command.env("NODE_PATH", cached("webhooks/node_modules")?);
    Ok(command)
}
