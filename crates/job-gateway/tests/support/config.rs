//! Files of settings.

use std::io::Write;

use tempfile::NamedTempFile;

/// Returns a file with these settings, which is removed when dropped.
pub(crate) fn file(settings: &str) -> NamedTempFile {
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(settings.as_bytes()).unwrap();
    file
}
