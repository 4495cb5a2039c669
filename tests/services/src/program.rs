//! Programs of the system and of the cache.

use std::{
    env,
    ffi::OsString,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    process::Command,
};

use crate::Missing;

/// Finds the first of these programs that is on the path.
///
/// # Errors
///
/// Fails if none is, with a message about the first one.
pub fn program(names: &[&str]) -> Result<PathBuf, String> {
    let path = env::var_os("PATH").unwrap_or_default();
    // Not on the path of every user, but where Debian keeps some servers.
    let path = env::split_paths(&path).chain(["/usr/sbin".into()]);
    path.flat_map(|directory| names.iter().map(move |name| directory.join(name)))
        .find(|candidate| Path::is_file(candidate))
        .ok_or_else(|| {
            let name = names.first().unwrap_or(&"a program");
            format!("{name} is not on the path")
        })
}

/// Finds a program that is installed with a package of the system.
///
/// # Errors
///
/// Fails if it is not on the path.
pub fn installed(name: &str) -> Result<PathBuf, Missing> {
    program(&[name])
        .map_err(|reason| Missing::new(name, format!("{reason}; .ci/services installs it")))
}

/// Finds a folder of the cache, which `.ci/services` fills.
pub(crate) fn cached(name: &str) -> Result<PathBuf, Missing> {
    let folder = cache().join(name);
    if folder.is_dir() {
        return Ok(folder);
    }
    let reason = format!("{} is missing; .ci/services fetches it", folder.display());
    Err(Missing::new(name, reason))
}

/// Returns the folders in which Python looks for modules: these, and that of the cache.
pub(crate) fn python_path(folders: &[&Path]) -> OsString {
    let known = env::var_os("PYTHONPATH").unwrap_or_default();
    let folders = folders.iter().map(|folder| folder.to_path_buf());
    let all = folders.chain([cache().join("python")]);
    env::join_paths(all.chain(env::split_paths(&known))).unwrap_or(known)
}

/// Copies a folder of the cache, which `make` creates at the place of the first copy.
pub(crate) fn copy_once(
    name: &str,
    copy: &Path,
    make: impl FnOnce() -> Result<String, String>,
) -> Result<(), String> {
    let original = cache().join(name);
    let copy_all = |from: &Path, to: &Path| run(Command::new("cp").arg("-a").args([from, to]));
    if !original.is_dir() {
        let _locked = lock(name).map_err(|error| error.to_string())?;
        if !original.is_dir() {
            make()?;
            let partial = original.with_extension("partial");
            let _ = fs::remove_dir_all(&partial);
            copy_all(copy, &partial)?;
            return fs::rename(&partial, &original).map_err(|error| error.to_string());
        }
    }
    copy_all(&original, copy).map(drop)
}

/// Keeps other processes of tests from changing this part of the cache.
fn lock(name: &str) -> io::Result<File> {
    fs::create_dir_all(cache())?;
    let file = File::create(cache().join(name).with_extension("lock"))?;
    file.lock()?;
    Ok(file)
}

/// Returns the folder `target/tmp` of the workspace.
fn cache() -> PathBuf {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let target = env::var_os("CARGO_TARGET_DIR").unwrap_or("target".into());
    workspace.join(target).join("tmp")
}

/// Runs a command to its end, and returns its output without the last end of line.
///
/// # Errors
///
/// Fails with the error output if the command fails.
pub(crate) fn run(command: &mut Command) -> Result<String, String> {
    let output = command
        .output()
        .map_err(|error| format!("{command:?}: {error}"))?;
    if !output.status.success() {
        let errors = String::from_utf8_lossy(&output.stderr);
        return Err(format!("{command:?}: {}", errors.trim_end()));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(text.trim_end_matches('\n').to_owned())
}
