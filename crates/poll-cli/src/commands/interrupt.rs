//! Ctrl-C and SIGTERM.

use std::{future::pending, time::Duration};

use tokio::{signal::ctrl_c, time::timeout};

use super::{cancel, follow::within, session::Session};
use crate::client::layer;

/// The time in which a second Ctrl-C cancels the job.
const PATIENCE: Duration = Duration::from_secs(5);

/// The time limit of the cancellation.
const LIMIT: Duration = Duration::from_secs(30);

/// Waits for the next Ctrl-C.
///
/// From the first call on, Ctrl-C no longer ends the process.
pub(super) async fn arrives() {
    if ctrl_c().await.is_err() {
        pending().await
    }
}

/// Waits for SIGTERM, which `kill`, `timeout` and service managers send.
#[cfg(unix)]
pub(super) async fn terminates() {
    use tokio::signal::unix::{SignalKind, signal};

    match signal(SignalKind::terminate()) {
        Ok(mut signal) => {
            signal.recv().await;
        }
        Err(_) => pending().await,
    }
}

/// Waits forever, since the system has no such signal.
#[cfg(not(unix))]
pub(super) async fn terminates() {
    pending().await
}

/// Waits for a second Ctrl-C, and cancels the job at the server.
///
/// A third Ctrl-C aborts the cancellation.
pub(super) async fn cancel_if_repeated(session: &Session) {
    let Some(job) = session.slot.job() else {
        return;
    };
    let screen = &session.screen;
    screen.line("poll: Ctrl-C again within 5 s cancels the job at the server");
    if timeout(PATIENCE, arrives()).await.is_err() {
        return;
    }
    let cancelling = async {
        let job = session.resume(&job, layer(&session.connection))?;
        let answer = job.cancel().await.map_err(|error| session.failure(error))?;
        cancel::meaning(answer.status())
    };
    tokio::select! {
        biased;
        () = arrives() => {}
        outcome = within(Some(LIMIT), cancelling) => match outcome {
            Ok(answer) => screen.line(&format!("poll: {answer}")),
            Err(failure) => screen.line(&format!("poll: {failure}")),
        },
    }
}
