//! Files of settings.

use std::fs;

use tempfile::NamedTempFile;

/// Returns a file with these settings, which is removed when dropped.
pub(crate) fn file(settings: &str) -> NamedTempFile {
    let file = NamedTempFile::new().unwrap();
    fs::write(&file, settings).unwrap();
    file
}
