//! A server whose answers are held until a test lets them pass.

use std::sync::Arc;

use http::Response;
use serde_json::Value;
use tokio::sync::{
    Notify,
    mpsc::{self, UnboundedReceiver},
};

use crate::support::{Answer, Body, Gateway, Upstream, full, get, send, soon};

/// A server whose answers are held until a test lets them pass.
pub(crate) struct Worker {
    pub(crate) upstream: Upstream,
    /// Each request: its path, and the URL for its progress.
    pub(crate) requests: UnboundedReceiver<(String, Option<String>)>,
    finish: Arc<Notify>,
}

impl Worker {
    pub(crate) async fn start() -> Self {
        let (sender, requests) = mpsc::unbounded_channel();
        let finish = Arc::new(Notify::new());
        let finished = finish.clone();
        let upstream = Upstream::of_requests(move |request| {
            let url = request.headers().get("job-progress-url");
            let url = url.map(|url| url.to_str().unwrap().to_owned());
            sender.send((request.uri().path().to_owned(), url)).unwrap();
            let finished = finished.clone();
            async move {
                finished.notified().await;
                Response::<Body>::new(full("done"))
            }
        });
        Self {
            upstream: upstream.await,
            requests,
            finish,
        }
    }

    /// Returns the URL for the progress of the next request.
    pub(crate) async fn url(&mut self) -> String {
        let (path, url) = soon(self.requests.recv()).await.unwrap();
        url.unwrap_or_else(|| panic!("no URL for {path}"))
    }

    /// Lets an answer pass.
    pub(crate) fn finish(&self) {
        self.finish.notify_one();
    }
}

/// Reports progress.
pub(crate) async fn report(url: &str, json: &str) -> Answer {
    let request = http::Request::put(url).header("content-type", "application/json");
    send(request.body(json.to_owned().into()).unwrap()).await
}

/// Returns the status document of a job.
pub(crate) async fn document(gateway: &Gateway, job: &str) -> Value {
    let answer = get(gateway.url(&format!("{job}/status"))).await;
    serde_json::from_slice(&answer.body).unwrap()
}
