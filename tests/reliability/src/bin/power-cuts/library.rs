//! The library that records the changes of files.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};

const SOURCE: &str = include_str!("../../../preload/record.c");

/// Returns the reason why the library cannot be used here, if there is one.
pub(crate) fn unavailable() -> Option<String> {
    if !cfg!(all(target_os = "linux", target_pointer_width = "64")) {
        return Some("writes are recorded on 64-bit Linux only".to_owned());
    }
    test_services::program(&["cc"]).err()
}

/// Compiles the library into a folder, and returns its path.
pub(crate) fn compile(folder: &Path) -> Result<PathBuf> {
    let (source, library) = (folder.join("record.c"), folder.join("record.so"));
    std::fs::write(&source, SOURCE)?;
    let status = Command::new("cc")
        .args([
            "-O2", "-Wall", "-Wextra", "-Werror", "-fPIC", "-shared", "-pthread", "-o",
        ])
        .args([&library, &source])
        .status()
        .context("`cc` cannot be run")?;
    ensure!(status.success(), "`cc` failed");
    Ok(library)
}
