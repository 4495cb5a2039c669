//! The library that sets the duration of a flush.

use std::{fs, os::unix::fs::PermissionsExt, path::Path, process::Command};

use tempfile::TempDir;

use crate::Outcome;

pub(crate) struct Library(TempDir);

impl Library {
    pub(crate) fn compile() -> Outcome<Self> {
        let directory = TempDir::new()?;
        // Servers run as another user.
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755))?;
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/durable/flush.c");
        let compiled = Command::new("cc")
            .args(["-O2", "-shared", "-fPIC", "-o"])
            .args([&directory.path().join("flush.so"), &source])
            .status()?;
        if !compiled.success() {
            return Err("the library could not be compiled".into());
        }
        Ok(Self(directory))
    }

    /// Loads it into a process and those that it starts.
    pub(crate) fn load(&self, command: &mut Command, micros: &str) {
        command
            .env("FLUSH_MICROS", micros)
            .env("LD_PRELOAD", self.0.path().join("flush.so"));
    }
}
