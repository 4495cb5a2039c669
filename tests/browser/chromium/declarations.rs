//! The type declarations of `poll.js` and `events.js`, by the compiler of TypeScript.

use std::fs;

use libtest_mimic::{Completion, Failed};
use test_services::{not_run, typescript};

pub(crate) fn checked() -> Result<Completion, Failed> {
    let mut compiler = match typescript() {
        Ok(compiler) => compiler,
        Err(missing) => return not_run(&missing.to_string()),
    };
    let folder = tempfile::tempdir()?;
    let poll = include_str!("../../../examples/browser/poll.d.ts");
    fs::write(folder.path().join("poll.d.ts"), poll)?;
    let events = include_str!("../../../examples/browser/events.d.ts");
    fs::write(folder.path().join("events.d.ts"), events)?;
    fs::write(folder.path().join("use.ts"), include_str!("use.ts"))?;
    let output = compiler
        .current_dir(folder.path())
        .args(["--noEmit", "--strict", "--target", "es2022"])
        .args(["--module", "esnext", "--moduleResolution", "bundler"])
        .args(["--lib", "es2022,dom", "use.ts"])
        .output()?;
    match output.status.success() {
        true => Ok(Completion::Completed),
        false => Err(String::from_utf8_lossy(&output.stdout).into_owned().into()),
    }
}
