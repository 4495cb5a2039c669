//! The server behind the gateway.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::time::sleep;

use crate::{page::open_to_all, support::Upstream};

/// The requests that a server has received, as `METHOD /path`.
#[derive(Clone, Default)]
pub(crate) struct Received(Arc<Mutex<Vec<String>>>);

impl Received {
    pub(crate) fn all(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

/// Starts a server that lets all pages read its answers, and is slow below `/slow`.
pub(crate) async fn server() -> (Upstream, Received) {
    let received = Received::default();
    let noted = received.clone();
    let upstream = Upstream::of_requests(move |request| {
        let line = format!("{} {}", request.method(), request.uri().path());
        noted.0.lock().unwrap().push(line.clone());
        async move {
            if line.contains("/slow") {
                sleep(Duration::from_millis(400)).await;
            }
            open_to_all(line)
        }
    });
    (upstream.await, received)
}
