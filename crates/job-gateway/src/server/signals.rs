//! The signals of the process.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// The signals of the process: SIGTERM, SIGINT, which Ctrl-C sends, and SIGHUP.
pub(crate) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

/// The meaning of a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    End,
    /// Reads the settings again.
    Reload,
}

impl Signals {
    /// Handles the signals from now on.
    ///
    /// # Errors
    ///
    /// Fails if the process can handle no signals.
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    /// Waits for the next signal.
    pub(super) async fn next(&mut self) -> Told {
        tokio::select! {
            _ = self.terminate.recv() => Told::End,
            _ = self.interrupt.recv() => Told::End,
            _ = self.hang_up.recv() => Told::Reload,
        }
    }

    /// Waits for a signal to end.
    pub(super) async fn end(&mut self) {
        while self.next().await != Told::End {}
    }
}
