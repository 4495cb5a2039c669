//! Programs and services that tests need and that may be missing.
//!
//! A test whose program is missing is reported as ignored, with the reason, and fails if
//! `HTTP_POLLING_REQUIRE_SERVICES=1` is set. It never passes.

use std::{
    env,
    path::{Path, PathBuf},
};

use libtest_mimic::{Completion, Failed};

/// Ends a test that cannot run for this reason.
///
/// # Errors
///
/// Fails if no program may be missing.
pub fn not_run(reason: &str) -> Result<Completion, Failed> {
    let reason = format!("not run: {reason}");
    if env::var("HTTP_POLLING_REQUIRE_SERVICES").is_ok_and(|value| value == "1") {
        return Err(Failed::from(reason));
    }
    Ok(Completion::ignored_with(reason))
}

/// Finds the first of these programs that is on the path.
///
/// # Errors
///
/// Fails if none is, with a message about the first one.
pub fn program(names: &[&str]) -> Result<PathBuf, String> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .flat_map(|directory| names.iter().map(move |name| directory.join(name)))
        .find(|candidate| Path::is_file(candidate))
        .ok_or_else(|| {
            let name = names.first().unwrap_or(&"a program");
            format!("{name} is not on the path")
        })
}
