//! Servers that answer with jobs of their own: these are polled until their results are there.
//!
//! The handle of the server's job is the checkpoint of the gateway's. It is stored before the first
//! poll, so that a later run continues to poll instead of sending the request again.
//!
//! ```text
//! Follower → PollService → Server → upstream::Client
//!    ↳ Abandon: DELETE at the server if no client waits any more
//! ```
//!
//! Dropping the future of a follower cancels the server's job, unless a later run continues it.

mod abandon;
mod ended;
mod outage;
mod server;

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::{Either, Full};
use http_polling::{JOB_STATUS, RETRY_AFTER_MS};
use tower::Layer;
use tower_async_job::JobContext;
use tower_poll::{PendingJob, PollLayer, PollService, PollUpdate, Submitted, Update};

use self::{
    abandon::Abandon,
    outage::Outage,
    server::{Polled, Server},
};
use super::{early::Answered, forwarded, headers, respond::Failure, target::Target};
use crate::{
    config::PrincipalSource,
    upstream::{self, Incoming},
};

/// A time beyond any deadline of the gateway.
const FAR: Duration = Duration::from_secs(366 * 24 * 3600);

/// The body of an answer: the server's, or a part of it that has been read.
pub(super) type Body = Either<Incoming, Full<Bytes>>;

/// Returns the handle of the server's job that an earlier run has stored.
///
/// # Errors
///
/// Fails if it cannot be read, and the request may not be sent again.
pub(super) fn handle_of(
    context: &JobContext,
    target: &Target,
) -> Result<Option<PendingJob>, Failure> {
    let Some(stored) = context.checkpoint() else {
        return Ok(None);
    };
    match serde_json::from_slice(&stored) {
        Ok(handle) => Ok(Some(handle)),
        Err(error) => {
            tracing::error!(%error, "a stored handle cannot be read");
            match target.replayable {
                true => Ok(None),
                false => Err(Failure::Unfollowable),
            }
        }
    }
}

/// A request whose server may answer with a job of its own.
pub(super) struct Follower {
    service: PollService<Server>,
    context: JobContext,
    /// The fields of the request, as the server has received them.
    headers: HeaderMap,
    /// Stores the handle, since the gateway's job may have later runs.
    saves: bool,
    /// The server may deliver the result later.
    is_left: bool,
    /// The handle that is stored.
    saved: Option<PendingJob>,
    outage: Outage,
}

impl Follower {
    /// Creates the follower of a request in the form in which its server receives it.
    pub(super) fn new(
        target: &Target,
        context: JobContext,
        request: &Request<upstream::Body>,
    ) -> Self {
        let server = Server::new(target, request.headers());
        let layer = PollLayer::new()
            .deadline(FAR)
            .max_polls(u32::MAX)
            .base_origin(server.origin());
        let principal = match &target.route.principal {
            Some(PrincipalSource::Header(name)) => Some(name.clone()),
            _ => None,
        };
        let kept = headers::OF_ALL_REQUESTS.into_iter().chain(forwarded::NAMES);
        let kept = kept.chain(principal);
        let layer = kept.fold(layer, PollLayer::keep_header);
        Self {
            service: layer.layer(server),
            context,
            headers: request.headers().clone(),
            saves: target.replayable || target.resumable,
            is_left: false,
            saved: None,
            outage: Outage::default(),
        }
    }

    /// Takes an answer that the result comes later for the end of the run, if the server may deliver
    /// the result.
    pub(super) fn leaving(mut self, is_left: bool) -> Self {
        self.is_left = is_left;
        self
    }

    /// Sends the request, and waits for the result. Once the server has made a job of it, it is
    /// answered, so that its upload ends.
    pub(super) async fn send(
        mut self,
        request: Request<upstream::Body>,
        answered: &mut Option<Answered>,
    ) -> Result<Response<Body>, Failure> {
        let submission = server::submission(request, self.is_left);
        let submitted = self.service.submit(submission).await;
        match submitted.map_err(ended::failure)? {
            Submitted::Final(response) => Ok(answer(response)),
            Submitted::Pending(job) => {
                drop(answered.take());
                self.wait(job).await
            }
        }
    }

    /// Continues the server's job of an earlier run, and waits for its result.
    pub(super) async fn resume(mut self, handle: PendingJob) -> Result<Response<Body>, Failure> {
        let job = self.again(&handle)?;
        self.saved = Some(handle);
        self.wait(job).await
    }

    fn again(&self, handle: &PendingJob) -> Result<Polled, Failure> {
        let job = self.service.resume(handle, &self.headers);
        job.map_err(ended::failure)
    }

    async fn wait(mut self, job: Polled) -> Result<Response<Body>, Failure> {
        let mut abandon = Abandon::new(self.context.clone(), job);
        loop {
            self.save(&abandon.job().pending()).await;
            let update = tokio::select! {
                biased;
                () = self.context.cancelled() => return abandon.now().await,
                update = abandon.job().next() => update,
            };
            let handle = match update {
                Some(Ok(Update::Pending(update))) => {
                    self.outage.end();
                    report(&self.context, &update);
                    continue;
                }
                Some(Ok(Update::Final(mut response))) => match Outage::take(&mut response) {
                    None => {
                        abandon.disarm();
                        return Ok(answer(response));
                    }
                    Some(handle) => handle,
                },
                Some(Err(error)) => match outage::handle_in(error) {
                    Ok(handle) => handle,
                    Err(error) => {
                        abandon.disarm();
                        return self.end(error).await;
                    }
                },
                None => return Err(Failure::Forgotten),
            };
            *abandon.job() = self.again(&handle)?;
            self.outage.rest().await;
        }
    }

    /// Stores the handle, if it leads elsewhere than the stored one.
    async fn save(&mut self, handle: &PendingJob) {
        let is_known = self
            .saved
            .as_ref()
            .is_some_and(|saved| leads_alike(saved, handle));
        if !self.saves || is_known {
            return;
        }
        let Ok(stored) = serde_json::to_vec(handle) else {
            return;
        };
        match self.context.save_checkpoint(stored).await {
            Ok(()) => self.saved = Some(handle.clone()),
            Err(error) if error.is_over() => {}
            Err(error) => {
                let handle = self.context.handle();
                tracing::warn!(%error, %handle, "the handle of a followed job is not stored");
            }
        }
    }

    /// Ends with the answer to an error. If the server does not know its job any more, the request may
    /// be sent again.
    async fn end(&self, error: tower_poll::Error) -> Result<Response<Body>, Failure> {
        let ended = ended::answer(error);
        if self.saves && matches!(ended, Err(Failure::Forgotten)) {
            let _ = self.context.save_checkpoint(Bytes::new()).await;
        }
        ended.map(|response| without_job(response.map(|body| Either::Right(Full::new(body)))))
    }
}

/// Returns whether two handles lead to the same job. A server that speaks of `Job-Status` puts only
/// hints into the query.
fn leads_alike(one: &PendingJob, other: &PendingJob) -> bool {
    match other.state() {
        Some(_) => one.url().path() == other.url().path(),
        None => one.url() == other.url(),
    }
}

fn answer(response: Response<Incoming>) -> Response<Body> {
    without_job(response.map(Either::Left))
}

/// Removes what an answer says of the server's job, which a client would take for that of the gateway.
fn without_job(mut response: Response<Body>) -> Response<Body> {
    for name in [JOB_STATUS, RETRY_AFTER_MS] {
        response.headers_mut().remove(name);
    }
    response
}

/// Passes the progress that a pending answer reports on to the gateway's job.
fn report(job: &JobContext, update: &PollUpdate) {
    let progress = update.progress();
    if let Some(progress) = progress {
        match (progress.done, progress.total) {
            (Some(done), Some(total)) => job.progress_of(done, total),
            _ => progress
                .fraction
                .into_iter()
                .for_each(|it| job.progress(it)),
        }
    }
    let message = progress.and_then(|progress| progress.message.as_deref());
    if let Some(message) = message.or(update.x_progress()) {
        job.message(message);
    }
}
