use std::{error::Error, fmt, io, path::PathBuf};

use rusqlite::{ErrorCode, ffi};
use tower_async_job_core::StoreError;

/// The error of opening a [`SqliteStore`](crate::SqliteStore).
///
/// Its text names the file and the remedy. The kind is private; check it with the `is_…` methods.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// use tower_async_job_sqlite::SqliteStore;
///
/// let error = SqliteStore::open("no/such/directory/jobs.db").await.unwrap_err();
/// assert!(error.is_directory_missing());
/// assert!(error.to_string().contains("no/such/directory"));
/// # }
/// ```
pub struct OpenError {
    kind: Kind,
    path: PathBuf,
    source: Option<Box<dyn Error + Send + Sync>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    NotDatabase,
    NotFile,
    Foreign,
    Newer { found: i64, known: i64 },
    Locked,
    DirectoryMissing,
    BrokenLink,
    Permission,
    Full,
    NoSharedMemory,
    Outdated,
    Other,
}

impl OpenError {
    fn new(kind: Kind, path: impl Into<PathBuf>) -> Self {
        Self {
            kind,
            path: path.into(),
            source: None,
        }
    }

    fn with_source(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    pub(crate) fn not_a_file(path: impl Into<PathBuf>) -> Self {
        Self::new(Kind::NotFile, path)
    }

    pub(crate) fn foreign(path: impl Into<PathBuf>) -> Self {
        Self::new(Kind::Foreign, path)
    }

    pub(crate) fn newer(path: impl Into<PathBuf>, found: i64, known: i64) -> Self {
        Self::new(Kind::Newer { found, known }, path)
    }

    pub(crate) fn broken_link(path: impl Into<PathBuf>) -> Self {
        Self::new(Kind::BrokenLink, path)
    }

    pub(crate) fn no_shared_memory(path: impl Into<PathBuf>) -> Self {
        Self::new(Kind::NoSharedMemory, path)
    }

    pub(crate) fn outdated(path: impl Into<PathBuf>) -> Self {
        Self::new(Kind::Outdated, path)
    }

    pub(crate) fn of_io(path: impl Into<PathBuf>, error: io::Error) -> Self {
        let kind = match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Kind::DirectoryMissing,
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => Kind::Permission,
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Kind::Full,
            io::ErrorKind::IsADirectory => Kind::NotDatabase,
            _ => Kind::Other,
        };
        Self::new(kind, path).with_source(error)
    }

    pub(crate) fn of_sql(path: impl Into<PathBuf>, error: rusqlite::Error) -> Self {
        let kind = match error.sqlite_error_code() {
            Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => Kind::NotDatabase,
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Kind::Locked,
            Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied | ErrorCode::CannotOpen) => {
                Kind::Permission
            }
            _ if is_full(&error) => Kind::Full,
            _ if lacks_sharing(&error) => Kind::NoSharedMemory,
            _ => Kind::Other,
        };
        Self::new(kind, path).with_source(error)
    }

    pub(crate) fn other(
        path: impl Into<PathBuf>,
        source: impl Into<Box<dyn Error + Send + Sync>>,
    ) -> Self {
        Self::new(Kind::Other, path).with_source(source)
    }

    /// Returns whether the file is not a SQLite database, or is damaged.
    pub fn is_not_a_database(&self) -> bool {
        matches!(self.kind, Kind::NotDatabase | Kind::NotFile)
    }

    /// Returns whether the file is the database of another application.
    pub fn is_foreign(&self) -> bool {
        self.kind == Kind::Foreign
    }

    /// Returns whether a newer release has written the file.
    pub fn is_newer(&self) -> bool {
        matches!(self.kind, Kind::Newer { .. })
    }

    /// Returns whether another program keeps the file locked.
    pub fn is_locked(&self) -> bool {
        self.kind == Kind::Locked
    }

    /// Returns whether the directory of the file does not exist.
    pub fn is_directory_missing(&self) -> bool {
        self.kind == Kind::DirectoryMissing
    }

    /// Returns whether the process may not read and write the file and its directory.
    pub fn is_permission_denied(&self) -> bool {
        self.kind == Kind::Permission
    }

    /// Returns whether the disk is full.
    pub fn is_full(&self) -> bool {
        self.kind == Kind::Full
    }

    /// Returns whether the file system does not support the log that SQLite shares between
    /// processes, or the locks, as network file systems do not.
    pub fn is_unsupported_file_system(&self) -> bool {
        self.kind == Kind::NoSharedMemory
    }

    /// Returns whether the program is linked to a version of SQLite that can damage the file.
    pub fn is_outdated_sqlite(&self) -> bool {
        self.kind == Kind::Outdated
    }
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        match self.kind {
            Kind::NotDatabase => write!(
                f,
                "`{path}` is not a SQLite database, or is damaged: choose another path, or restore \
                 a backup"
            ),
            Kind::NotFile => write!(f, "`{path}` is not a file: choose another path"),
            Kind::Foreign => write!(
                f,
                "`{path}` is the database of another application: choose another path"
            ),
            Kind::Newer { found, known } => write!(
                f,
                "`{path}` has version {found} of the schema, and this build knows up to version \
                 {known}: run the newer release that wrote it"
            ),
            Kind::Locked => write!(
                f,
                "`{path}` is locked by another program: end it, for example a `sqlite3` command \
                 within a transaction"
            ),
            Kind::DirectoryMissing => write!(
                f,
                "the directory of `{path}` does not exist: create it, or choose another path"
            ),
            Kind::BrokenLink => write!(
                f,
                "`{path}` is a link to a file that does not exist: remove the link, or create the \
                 file empty"
            ),
            Kind::Permission => write!(
                f,
                "`{path}` cannot be opened: allow the process to write the file and its directory, \
                 which also holds the files `-wal` and `-shm`"
            ),
            Kind::Full => write!(f, "the disk of `{path}` is full: free some space"),
            Kind::NoSharedMemory => write!(
                f,
                "the file system of `{path}` does not support write-ahead logs, or the locks of \
                 SQLite: choose a local disk"
            ),
            Kind::Outdated => write!(
                f,
                "`{path}` needs SQLite 3.51.3 or later, since earlier ones can damage it, but the \
                 program is linked to {}: use the bundled one",
                rusqlite::version()
            ),
            Kind::Other => write!(f, "`{path}` cannot be opened"),
        }
    }
}

/// Shows the text too, since a `main` that returns the error prints this.
impl fmt::Debug for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenError")
            .field("text", &self.to_string())
            .field("source", &self.source)
            .finish()
    }
}

impl Error for OpenError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.source {
            Some(source) => Some(&**source),
            None => None,
        }
    }
}

/// The failure of SQLite in an open store.
#[derive(Debug)]
struct SqliteFailure {
    path: PathBuf,
    source: rusqlite::Error,
}

impl fmt::Display for SqliteFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SQLite failed on `{}`", self.path.display())
    }
}

impl Error for SqliteFailure {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.source)
    }
}

/// Returns whether SQLite has found no room: for the database, its log, or the index of the log, which
/// is reported by a code of its own.
pub(crate) fn is_full(error: &rusqlite::Error) -> bool {
    let code = error.sqlite_error().map(|error| error.extended_code);
    error.sqlite_error_code() == Some(ErrorCode::DiskFull)
        || code == Some(ffi::SQLITE_IOERR_SHMSIZE)
}

/// Returns whether the file system refuses the memory that processes share, or locks.
fn lacks_sharing(error: &rusqlite::Error) -> bool {
    let code = error.sqlite_error().map(|error| error.extended_code);
    matches!(
        code,
        Some(
            ffi::SQLITE_IOERR_SHMMAP
                | ffi::SQLITE_IOERR_SHMOPEN
                | ffi::SQLITE_IOERR_SHMLOCK
                | ffi::SQLITE_IOERR_LOCK
                | ffi::SQLITE_IOERR_RDLOCK
                | ffi::SQLITE_IOERR_CHECKRESERVEDLOCK
        )
    )
}

/// Returns whether another connection has the lock.
pub(crate) fn is_busy(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked)
    )
}

/// Creates the failure of a call for which another program does not release its lock in time.
pub(crate) fn locked(path: &std::path::Path) -> StoreError {
    StoreError::unavailable(OpenError::new(Kind::Locked, path))
}

/// Converts a failure of SQLite on this file.
pub(crate) fn store_error(path: &std::path::Path, error: rusqlite::Error) -> StoreError {
    let is_conversion = matches!(
        error,
        rusqlite::Error::FromSqlConversionFailure(..)
            | rusqlite::Error::IntegralValueOutOfRange(..)
            | rusqlite::Error::InvalidColumnType(..)
            | rusqlite::Error::Utf8Error(..)
    );
    let full = is_full(&error);
    if is_busy(&error) {
        return locked(path);
    }
    let failure = SqliteFailure {
        path: path.to_owned(),
        source: error,
    };
    if is_conversion {
        StoreError::corrupt(failure)
    } else if full {
        StoreError::full().with_source(failure)
    } else {
        StoreError::unavailable(failure)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_system_without_shared_memory_or_locks_is_named() {
        for code in [ffi::SQLITE_IOERR_SHMMAP, ffi::SQLITE_IOERR_LOCK] {
            let failure = rusqlite::Error::SqliteFailure(ffi::Error::new(code), None);
            let error = OpenError::of_sql("jobs.db", failure);
            assert!(error.is_unsupported_file_system(), "{code}");
            let text = error.to_string();
            assert!(text.ends_with("choose a local disk"), "{text}");
        }
    }

    #[test]
    fn a_disk_without_room_for_any_file_is_full() {
        for (code, full) in [
            (ffi::SQLITE_FULL, true),
            (ffi::SQLITE_IOERR_SHMSIZE, true),
            (ffi::SQLITE_IOERR_WRITE, false),
        ] {
            let failure = || rusqlite::Error::SqliteFailure(ffi::Error::new(code), None);
            assert_eq!(
                OpenError::of_sql("jobs.db", failure()).is_full(),
                full,
                "{code}"
            );
            assert_eq!(
                store_error("jobs.db".as_ref(), failure()).is_full(),
                full,
                "{code}"
            );
        }
    }
}
