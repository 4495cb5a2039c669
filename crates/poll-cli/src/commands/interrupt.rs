//! Ctrl-C, and other wishes that the command may end.

use std::{future::pending, time::Duration};

use tokio::{signal::ctrl_c, time::timeout};

use super::{cancel, follow::within, session::Session};
use crate::client::layer;

/// The time in which a second Ctrl-C counts.
const PATIENCE: Duration = Duration::from_secs(5);

/// The time limit of the cancellation.
const LIMIT: Duration = Duration::from_secs(30);

/// Comes with the next Ctrl-C. From the first call on, that does not end the
/// process by itself.
pub(super) async fn arrives() {
    if ctrl_c().await.is_err() {
        pending().await
    }
}

/// Comes with SIGTERM, as `kill`, `timeout` and service managers send it.
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

/// There is no such signal.
#[cfg(not(unix))]
pub(super) async fn terminates() {
    pending().await
}

/// After a first Ctrl-C: a second one cancels the job at the server, and a
/// third leaves that alone.
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
