//! The warnings and errors logged by a test's own thread.
//!
//! One subscriber serves the whole process: with one for each test, an event first reached by the
//! thread of another test may stay disabled.

use std::{cell::RefCell, io, sync::Once};

use tracing::Level;

thread_local! {
    static TEXT: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Clears the log.
pub(crate) fn begin() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(Level::WARN)
            .with_ansi(false)
            .with_writer(|| Writer);
        tracing::subscriber::set_global_default(subscriber.finish()).expect("the only one");
        // Enables events that other threads reached during the installation.
        tracing::callsite::rebuild_interest_cache();
    });
    TEXT.with_borrow_mut(Vec::clear);
}

/// Returns the log.
pub(crate) fn text() -> String {
    TEXT.with_borrow(|text| String::from_utf8_lossy(text).into_owned())
}

struct Writer;

impl io::Write for Writer {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        TEXT.with_borrow_mut(|all| all.extend_from_slice(text));
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
