//! The clients: `PollLayer` over the load balancer.

use anyhow::Context;
use bytes::Bytes;
use http::{HeaderName, Request, StatusCode, header::CONTENT_TYPE};
use http_body_util::{BodyExt, Full};
use serde::Deserialize;
use tokio::{sync::watch, task::JoinHandle};
use tower::{ServiceBuilder, ServiceExt, retry::RetryLayer};
use tower_poll::{PollLayer, PollProgress, PollUpdate, Resubmit};

use crate::balancer::Balancer;

/// The header with the name of the node that called the handler.
pub const NODE: HeaderName = HeaderName::from_static("node");

/// The body of an answer.
#[derive(Clone, Debug, Deserialize, PartialEq)]
pub struct Report {
    /// The number of pages.
    pub pages: u32,
    /// The number of the run that has written it.
    pub attempt: u32,
}

/// All that a caller gets: one ordinary response.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The name of the node that has written the report.
    pub node: String,
    /// The report.
    pub report: Report,
}

/// A call that is under way. It goes on if this is dropped.
#[derive(Debug)]
pub struct Call {
    progress: Progress,
    answer: JoinHandle<anyhow::Result<Answer>>,
}

/// The progress of a call, as its client knows it.
#[derive(Clone, Debug)]
pub struct Progress(watch::Receiver<Option<PollUpdate>>);

impl Progress {
    /// Returns the part of the work that is done.
    #[must_use]
    pub fn ratio(&self) -> Option<f64> {
        self.0.borrow().as_ref()?.progress()?.ratio()
    }
}

impl Call {
    /// Orders a report of this number of pages.
    ///
    /// With a key, the submission is repeated if its connection breaks.
    pub fn start(balancer: &Balancer, pages: u32, has_key: bool) -> Self {
        let client = ServiceBuilder::new()
            .layer(
                PollLayer::new()
                    .idempotency_keys(has_key)
                    // Answered as soon as the job is stored, instead of after the inline wait.
                    .prefer_async(|_| true),
            )
            .layer(RetryLayer::new(Resubmit::new().retries(10)))
            .service(balancer.clone());
        let (progress, updates) = PollProgress::channel();
        let request = Request::post("http://cluster/reports/2026")
            .header(CONTENT_TYPE, "application/json")
            .extension(progress)
            .body(Full::<Bytes>::from(format!(r#"{{"pages": {pages}}}"#)));
        let answer = tokio::spawn(async move {
            let response = client.oneshot(request?).await?;
            let (head, body) = response.into_parts();
            let body = body.collect().await?.to_bytes();
            let node = head.headers.get(NODE);
            let node = node.with_context(|| format!("{}: {body:?}", head.status))?;
            Ok(Answer {
                status: head.status,
                node: node.to_str()?.to_owned(),
                report: serde_json::from_slice(&body)?,
            })
        });
        let progress = Progress(updates);
        Self { progress, answer }
    }

    /// Waits until a job is accepted, and returns its path, or none if there is an answer or an error
    /// without a job.
    pub async fn job(&mut self) -> Option<String> {
        let update = self.progress.0.wait_for(Option::is_some).await.ok()?;
        Some(update.as_ref()?.url().path().to_owned())
    }

    /// Returns its progress from now on.
    #[must_use]
    pub fn progress(&self) -> Progress {
        self.progress.clone()
    }

    /// Returns the answer.
    ///
    /// # Errors
    ///
    /// Fails if there is an error instead.
    pub async fn answer(&mut self) -> anyhow::Result<Answer> {
        (&mut self.answer).await?
    }
}
