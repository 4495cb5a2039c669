//! Servers whose time of day can be shifted.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    Missing,
    program::{installed, run},
};

const SOURCE: &str = include_str!("../preload/clock.c");

/// The name of the file with the shift, in the folder of a server.
const SHIFT: &str = "clock-shift";

/// Returns a command that runs a program whose time of day can be shifted, with files in this folder.
pub(crate) fn shiftable(program: &Path, folder: &Path) -> Result<Command, Missing> {
    let missing = |reason: &str| Missing::new("a clock that can be shifted", reason);
    if !cfg!(all(target_os = "linux", target_pointer_width = "64")) {
        return Err(missing("it is one of 64-bit Linux"));
    }
    let library = compile(folder).map_err(|reason| missing(&reason))?;
    let file = folder.join(SHIFT);
    fs::write(&file, 0_i64.to_ne_bytes()).map_err(|error| missing(&error.to_string()))?;
    let mut command = Command::new("env");
    command
        .arg(format!("LD_PRELOAD={}", library.display()))
        .arg(format!("CLOCK_SHIFT={}", file.display()))
        .arg(program);
    Ok(command)
}

/// Shifts the time of day of the server with this folder.
pub(crate) fn shift(folder: &Path, seconds: i64) -> io::Result<()> {
    // The file is mapped, and so never shorter.
    let mut file = OpenOptions::new().write(true).open(folder.join(SHIFT))?;
    file.write_all(&seconds.to_ne_bytes())
}

fn compile(folder: &Path) -> Result<PathBuf, String> {
    let compiler = installed("cc").map_err(|missing| missing.to_string())?;
    let (source, library) = (folder.join("clock.c"), folder.join("clock.so"));
    fs::write(&source, SOURCE).map_err(|error| error.to_string())?;
    let mut command = Command::new(compiler);
    command.args([
        "-O2", "-Wall", "-Wextra", "-Werror", "-fPIC", "-shared", "-o",
    ]);
    run(command.args([&library, &source]))?;
    Ok(library)
}
