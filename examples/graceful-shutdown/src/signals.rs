//! Termination signals.

use tokio::signal::unix::{SignalKind, signal};

/// Resolves after `times` termination signals: SIGTERM, or SIGINT, which Ctrl-C sends.
pub(crate) async fn terminated(times: u32) {
    let mut terminate = signal(SignalKind::terminate()).expect("a signal that can be handled");
    let mut interrupt = signal(SignalKind::interrupt()).expect("a signal that can be handled");
    for _ in 0..times {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    }
}
