//! Connections to the file.

use std::{
    fs::{self, OpenOptions},
    io,
    path::Path,
    thread,
    time::Duration,
};

use rusqlite::{Connection, MAIN_DB, OpenFlags, ffi};
use tower_async_job_core::JobHandle;

use crate::{
    error::{OpenError, is_busy},
    schema,
    settings::{Settings, Synchronous},
};

/// The first version of SQLite in which two connections that reset the log cannot damage the file.
const OLDEST_SQLITE: i32 = 3_051_003;

/// The number of prepared statements of a connection.
const STATEMENTS: usize = 128;

/// The page cache of the writer, in KiB.
const WRITER_CACHE: i64 = 16 << 10;

/// The number of times at which a lock that another connection has is tried again, 1 ms apart.
pub(crate) const BUSY_TRIES: i32 = 250;

/// Opens the connection of the writer, and creates the file and its tables if necessary.
pub(crate) fn open_writer(settings: &Settings) -> Result<Connection, OpenError> {
    let path = &*settings.path;
    check_sqlite(rusqlite::version_number(), path)?;
    if fs::symlink_metadata(path).is_ok() && fs::metadata(path).is_err_and(is_missing) {
        return Err(OpenError::broken_link(path));
    }
    if fs::metadata(path).is_ok_and(|found| !found.is_file() && !found.is_dir()) {
        return Err(OpenError::not_a_file(path));
    }
    create(path).map_err(|error| OpenError::of_io(path, error))?;
    let failed = |error| OpenError::of_sql(path, error);
    let mut connection = connect(path).map_err(failed)?;
    schema::check(&connection, path)?;
    if let Some(size) = settings.page_size {
        connection
            .pragma_update(None, "page_size", size)
            .map_err(failed)?;
    }
    use_log(&connection, path)?;
    schema::migrate(&mut connection, path)?;
    check_writable(&connection).map_err(failed)?;
    prepare_writer(&connection, settings).map_err(failed)?;
    Ok(connection)
}

fn check_sqlite(version: i32, path: &Path) -> Result<(), OpenError> {
    match version < OLDEST_SQLITE {
        true => Err(OpenError::outdated(path)),
        false => Ok(()),
    }
}

fn is_missing(error: io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound
}

/// Creates the file if it does not exist, for its owner alone; SQLite gives the log the same mode.
/// An empty file becomes its owner's alone too, if this process may change its mode.
///
/// The file is created under another name, and closed before it gets its own: closing a file ends
/// all locks of the process on it, also those of a store that is open.
fn create(path: &Path) -> io::Result<()> {
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => return Err(io::ErrorKind::IsADirectory.into()),
        Ok(metadata) => {
            #[cfg(unix)]
            if metadata.len() == 0 {
                let owner_alone = std::os::unix::fs::PermissionsExt::from_mode(0o600);
                // Another user's file cannot be changed, and can be a store all the same.
                let _ = fs::set_permissions(path, owner_alone);
            }
            return Ok(());
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let mut name = path.as_os_str().to_owned();
    name.push(format!("-new-{}", JobHandle::random()));
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    drop(options.open(&name)?);
    let linked = fs::hard_link(&name, path);
    fs::remove_file(&name)?;
    if linked.is_err_and(|error| error.kind() != io::ErrorKind::AlreadyExists) {
        // Some file systems have no links.
        options.open(path)?;
    }
    #[cfg(unix)]
    if let Some(directory) = path.parent() {
        // Otherwise a power cut may take the name away. Some file systems do not support it.
        let _ = fs::File::open(directory).and_then(|directory| directory.sync_all());
    }
    Ok(())
}

fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags)?;
    connection.busy_handler(Some(|tries| {
        thread::sleep(Duration::from_millis(1));
        tries < BUSY_TRIES
    }))?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    Ok(connection)
}

/// Switches the file to a write-ahead log. SQLite does not wait for other processes that do the
/// same.
fn use_log(connection: &Connection, path: &Path) -> Result<(), OpenError> {
    let mode = connection
        .pragma_update_and_check(None, "journal_mode", "wal", |row| row.get::<_, String>(0))
        .map_err(|error| OpenError::of_sql(path, error))?;
    match mode == "wal" {
        true => Ok(()),
        false => Err(OpenError::no_shared_memory(path)),
    }
}

/// Fails if the file, its log or its shared memory can only be read. SQLite opens such files, and
/// fails with the first change.
fn check_writable(connection: &Connection) -> rusqlite::Result<()> {
    if connection.is_readonly(MAIN_DB)? {
        let read_only = ffi::Error::new(ffi::SQLITE_READONLY);
        let reason = "the file can only be read".to_owned();
        return Err(rusqlite::Error::SqliteFailure(read_only, Some(reason)));
    }
    match connection.execute_batch("BEGIN IMMEDIATE; ROLLBACK") {
        // Another process can write.
        Err(error) if is_busy(&error) => Ok(()),
        checked => checked,
    }
}

fn prepare_writer(connection: &Connection, settings: &Settings) -> rusqlite::Result<()> {
    make_durable(connection, settings.synchronous)?;
    // Checkpoints are made beside the writer.
    connection.pragma_update(None, "wal_autocheckpoint", 0)?;
    let limit = i64::try_from(settings.max_log_bytes).unwrap_or(i64::MAX);
    connection.pragma_update(None, "journal_size_limit", limit)?;
    connection.pragma_update(None, "cache_size", -WRITER_CACHE)?;
    connection.pragma_update(None, "temp_store", "memory")?;
    connection.pragma_update(None, "foreign_keys", false)?;
    Ok(())
}

/// Lets commits and checkpoints wait for the disk, on macOS also for its own cache.
fn make_durable(connection: &Connection, level: Synchronous) -> rusqlite::Result<()> {
    connection.pragma_update(None, "fullfsync", true)?;
    connection.pragma_update(None, "checkpoint_fullfsync", true)?;
    set_synchronous(connection, level)
}

/// Sets whether commits wait for the disk.
pub(crate) fn set_synchronous(connection: &Connection, level: Synchronous) -> rusqlite::Result<()> {
    let level = match level {
        Synchronous::Off => "off",
        Synchronous::Normal => "normal",
        Synchronous::Full => "full",
    };
    connection.pragma_update(None, "synchronous", level)
}

/// The number of pages of a file without a limit.
pub(crate) const UNLIMITED: u32 = u32::MAX - 1;

/// Limits the number of pages of the file; `None` limits nothing.
pub(crate) fn limit_pages(connection: &Connection, pages: Option<u32>) -> rusqlite::Result<()> {
    let pages = i64::from(pages.unwrap_or(UNLIMITED));
    connection.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(()))
}

/// Returns the size of a page, in bytes.
pub(crate) fn page_size(connection: &Connection) -> rusqlite::Result<u64> {
    let size = connection.pragma_query_value(None, "page_size", |row| row.get::<_, i64>(0))?;
    Ok(size.unsigned_abs().max(512))
}

/// Returns the size of all pages of this size that are in use, in bytes.
pub(crate) fn used_bytes(connection: &Connection, page_size: u64) -> rusqlite::Result<u64> {
    let figure = |pragma| {
        let mut statement = connection.prepare_cached(pragma)?;
        statement.query_row([], |row| row.get::<_, u32>(0))
    };
    let pages = figure("PRAGMA page_count")?.saturating_sub(figure("PRAGMA freelist_count")?);
    Ok(u64::from(pages) * page_size)
}

/// Opens a connection that reads only.
pub(crate) fn open_reader(settings: &Settings) -> Result<Connection, OpenError> {
    let failed = |error| OpenError::of_sql(&*settings.path, error);
    let connection = connect(&settings.path).map_err(failed)?;
    connection
        .pragma_update(None, "query_only", true)
        .map_err(failed)?;
    Ok(connection)
}

/// Opens the connection that makes checkpoints.
pub(crate) fn open_checkpointer(settings: &Settings) -> Result<Connection, OpenError> {
    let failed = |error| OpenError::of_sql(&*settings.path, error);
    let connection = connect(&settings.path).map_err(failed)?;
    make_durable(&connection, settings.synchronous).map_err(failed)?;
    Ok(connection)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sqlite_that_can_damage_the_file_is_refused() {
        let path = Path::new("jobs.db");
        let error = check_sqlite(3_051_002, path).expect_err("it is too old");
        assert!(error.is_outdated_sqlite());
        let text = error.to_string();
        assert!(
            text.starts_with("`jobs.db` needs SQLite 3.51.3 or later"),
            "{text}"
        );
        for version in [3_051_003, rusqlite::version_number()] {
            check_sqlite(version, path).expect("it is new enough");
        }
    }
}
