//! The server, and its end.

use std::{io, time::Duration};

use axum::Router;
use tokio::{
    net::TcpListener,
    signal::unix::{Signal, SignalKind, signal},
};
use tower_async_job::AsyncJobLayer;

/// Serves the application until SIGTERM or Ctrl-C.
///
/// After the first signal, running jobs have the grace to end; those that remain are handed over to
/// the other processes on the file, or to the next one. A second signal ends the grace.
///
/// # Errors
///
/// Fails if the process can handle no signals.
pub async fn serve(
    listener: TcpListener,
    app: Router,
    jobs: AsyncJobLayer,
    grace: Duration,
) -> io::Result<()> {
    let mut signals = Signals {
        terminate: signal(SignalKind::terminate())?,
        interrupt: signal(SignalKind::interrupt())?,
    };
    let (first, begun) = tokio::sync::oneshot::channel();
    let ended = {
        let jobs = jobs.clone();
        async move {
            let _ = begun.await;
            jobs.shutdown(grace).await;
        }
    };
    let server = axum::serve(listener, app).with_graceful_shutdown(ended);
    tokio::select! {
        served = server => served,
        () = async {
            signals.next().await;
            let _ = first.send(());
            signals.next().await;
        } => {
            jobs.shutdown(Duration::ZERO).await;
            Ok(())
        }
    }
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
