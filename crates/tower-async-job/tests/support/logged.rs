//! The warnings and errors that a test's own thread logs.
//!
//! One subscriber serves the whole process: with one for each test, an event that the thread of another
//! test reaches first may stay disabled.

use std::{cell::RefCell, io, sync::Once};

use tracing::Level;

thread_local! {
    static TEXT: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Forgets what was logged before.
pub(crate) fn begin() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(Level::WARN)
            .with_ansi(false)
            .with_writer(|| Writer);
        tracing::subscriber::set_global_default(subscriber.finish()).expect("the only one");
        // What other threads reached while it was being installed is not to stay disabled.
        tracing::callsite::rebuild_interest_cache();
    });
    TEXT.with_borrow_mut(Vec::clear);
}

/// Returns what was logged since.
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
