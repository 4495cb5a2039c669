//! A server that answers with 202, and delivers its results later.

use std::{net::TcpListener, path::Path, sync::Arc};

use http::{Request, Response, StatusCode};
use tokio::sync::{
    Notify,
    mpsc::{self, UnboundedReceiver},
};

use crate::support::{Answer, Body, Gateway, Upstream, full, send, soon};

/// A request as the server sees it.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) attempt: String,
    pub(crate) progress: String,
    pub(crate) result: Option<String>,
}

impl Asked {
    pub(crate) fn result(&self) -> &str {
        self.result.as_deref().expect("a URL for the result")
    }
}

/// A server that answers each request with 202, once a test lets it.
pub(crate) struct Party {
    pub(crate) upstream: Upstream,
    pub(crate) requests: UnboundedReceiver<Asked>,
    accept: Arc<Notify>,
}

impl Party {
    /// Starts a server. A hasty one answers at once.
    pub(crate) async fn start(hasty: bool) -> Self {
        let (sender, requests) = mpsc::unbounded_channel();
        let accept = Arc::new(Notify::new());
        let accepted = accept.clone();
        let upstream = Upstream::of_requests(move |request| {
            let field = |name| {
                let value = request.headers().get(name);
                value.map(|value| value.to_str().unwrap().to_owned())
            };
            let asked = Asked {
                attempt: field("job-attempt").unwrap(),
                progress: field("job-progress-url").unwrap_or_default(),
                result: field("job-result-url"),
            };
            sender.send(asked).unwrap();
            let accepted = accepted.clone();
            async move {
                if !hasty {
                    accepted.notified().await;
                }
                let mut response = Response::<Body>::new(full("accepted"));
                *response.status_mut() = StatusCode::ACCEPTED;
                let how = "result-later".parse().unwrap();
                response.headers_mut().insert("job-accepted", how);
                let own = "/jobs/7".parse().unwrap();
                response.headers_mut().insert("location", own);
                response
            }
        });
        Self {
            upstream: upstream.await,
            requests,
            accept,
        }
    }

    /// Lets an answer pass.
    pub(crate) fn accept(&self) {
        self.accept.notify_one();
    }

    /// Returns the next request.
    pub(crate) async fn asked(&mut self) -> Asked {
        soon(self.requests.recv()).await.unwrap()
    }
}

/// Returns a port that is free.
pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// Starts a gateway whose routes have results later, and which has its URLs at this port.
pub(crate) async fn gateway(upstream: &Upstream, jobs: &Path, port: u16, more: &str) -> Gateway {
    let settings = format!(
        "store = \"sqlite:{}\"\n[upstreams.app]\nurl = \"{}\"\n\
        [progress]\nlisten = \"127.0.0.1:{port}\"\nurl = \"http://127.0.0.1:{port}/\"\n\
        [defaults]\nresult_later = true\ninline_wait = \"20s\"\n{more}",
        jobs.display(),
        upstream.url()
    );
    Gateway::with(&settings).await
}

/// Sends a request to a gateway, and returns the path of its job.
pub(crate) async fn post(gateway: &Gateway) -> String {
    let request = Request::post(gateway.url("/report")).body("{}".into());
    let pending = send(request.unwrap()).await;
    assert_eq!(pending.status, StatusCode::SEE_OTHER);
    pending.header("location").to_owned()
}

/// Delivers a result.
pub(crate) async fn deliver(url: &str, text: &'static str) -> Answer {
    let request = Request::put(url).header("content-type", "text/csv");
    let request = request.header("job-response-status", "201");
    send(request.body(text.into()).unwrap()).await
}
