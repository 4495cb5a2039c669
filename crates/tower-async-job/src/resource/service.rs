//! The job resource as a service, and the answers to requests for it.

use std::{
    convert::Infallible,
    fmt,
    future::ready,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use http::{HeaderValue, Method, Request, Response, StatusCode, header::ALLOW};
use http_polling::{JobState, ProblemType};
use tower::Service;
use tower_async_job_core::{Cancellation, Detail, JobId, JobRecord, Protocol, StoreError};

use crate::{
    answer::{self, Answer},
    body::StoredBody,
    node::{front::Front, housekeeping::keep_shared_house},
    panics::{self, Panicked},
    resource::{
        cancel::{cancel_pending, log_unrun},
        events,
        own_jobs::{self, OwnJobs},
        poll::{self, Begun},
        request::{Part, ResourceRequest, mounted},
        unreadable::{opened, unreadable},
    },
};

/// The job resource as a service; see [`AsyncJobLayer::resource`](crate::AsyncJobLayer::resource).
///
/// | request | answer |
/// |---|---|
/// | GET, HEAD `/{id}` | pending: the announcement again, or a page for browsers; ended: the stored response, or a problem |
/// | GET, HEAD `/{id}/status` | 200 and the status document |
/// | GET `/{id}/events` | if [enabled](crate::Builder::events), the events of the job |
/// | DELETE `/{id}` | pending: cancels, 202; ended: drops the result, 204, and keeps its idempotency key |
/// | GET, HEAD `/` | 200 and the client's own jobs, [if they are listed](crate::Builder::list_own_jobs) |
/// | OPTIONS | 204 with `Allow` |
/// | others | 405 with `Allow` |
///
/// A stored response with status 200 has validators, and answers conditional requests and ranges
/// (RFC 9110, sections 13 and 14): 206, 304, 412 or 416. A DELETE whose preconditions fail is answered
/// with 412.
///
/// An unknown or malformed id is answered with 404, an unreachable store with 503 and Retry-After,
/// and a damaged record with 500. The request's body is not read.
///
/// ```
/// use http::{Request, StatusCode};
/// use tower::ServiceExt;
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let jobs = tower_async_job::AsyncJobLayer::new();
/// let unknown = Request::get("/work/0123").body(()).unwrap();
/// let response = jobs.resource().oneshot(unknown).await.unwrap();
/// assert_eq!(response.status(), StatusCode::NOT_FOUND);
/// # }
/// ```
#[derive(Clone)]
pub struct JobResource {
    front: Arc<Front>,
}

impl JobResource {
    pub(crate) fn new(front: Arc<Front>) -> Self {
        Self { front }
    }
}

impl<B> Service<Request<B>> for JobResource {
    type Response = Response<StoredBody>;
    type Error = Infallible;
    type Future = ResourceFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> ResourceFuture {
        keep_shared_house(&self.front.node);
        if OwnJobs::are_at(&self.front.config, request.uri().path()) {
            let own = OwnJobs::new(&self.front.config, &request);
            return ResourceFuture::new(own_jobs::answer(self.front.clone(), own));
        }
        let path = mounted(&self.front.config, request.uri().path());
        ResourceFuture::new(
            match ResourceRequest::new(&self.front.config, &request, path) {
                Ok(request) => answer(self.front.clone(), request),
                Err(Panicked) => Box::pin(ready(answer::panicked(Protocol::Http))),
            },
        )
    }
}

impl fmt::Debug for JobResource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JobResource")
            .field("base", &self.front.config.base)
            .finish_non_exhaustive()
    }
}

/// The response future of a [`JobResource`] or an [`OperatorResource`](crate::OperatorResource).
/// Dropping it does not affect the job.
///
/// ```
/// use tower::Service;
/// use tower_async_job::{AsyncJobLayer, ResourceFuture};
///
/// let request = http::Request::get("/work/7").body(()).unwrap();
/// let answer: ResourceFuture = AsyncJobLayer::new().resource().call(request);
/// # drop(answer);
/// ```
#[must_use = "futures do nothing unless polled"]
pub struct ResourceFuture {
    answer: Answer,
}

impl ResourceFuture {
    pub(crate) fn new(answer: Answer) -> Self {
        Self { answer }
    }
}

impl Future for ResourceFuture {
    type Output = Result<Response<StoredBody>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        poll_answer(&mut self.answer, cx).map(Ok)
    }
}

impl fmt::Debug for ResourceFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResourceFuture").finish_non_exhaustive()
    }
}

/// Answers a request for the job resource, at once if possible.
pub(crate) fn respond(
    front: &Arc<Front>,
    request: ResourceRequest,
) -> Result<Response<StoredBody>, Answer> {
    match panics::catching("a poll", || poll::begin_now(front, &request)) {
        Ok(Some(Begun::Answered(response))) if response.body().is_closed() => {
            Err(Box::pin(opened(response, request.page)))
        }
        Ok(Some(Begun::Answered(response))) => Ok(response),
        Ok(Some(Begun::Held(held))) => Err(held.answer()),
        Ok(None) => Err(answer(front.clone(), request)),
        Err(Panicked) => Ok(answer::panicked(Protocol::Http)),
    }
}

/// Polls an answer; a panic, such as one of the estimator, becomes an answer of the layer.
pub(crate) fn poll_answer(answer: &mut Answer, cx: &mut Context<'_>) -> Poll<Response<StoredBody>> {
    panics::poll_catching(answer, cx).map(|answered| {
        answered.unwrap_or_else(|payload| {
            panics::log("an answer of the layer", payload);
            answer::panicked(Protocol::Http)
        })
    })
}

fn answer(front: Arc<Front>, request: ResourceRequest) -> Answer {
    Box::pin(async move {
        let response = match request.method {
            Method::GET => read(&front, &request).await,
            Method::HEAD if !matches!(request.part(), Part::Events(_)) => {
                read(&front, &request).await
            }
            Method::DELETE if request.part() == Part::Job => delete(&front, &request).await,
            Method::OPTIONS => allowing(answer::no_content(), &request),
            _ => {
                let response = answer::problem(ProblemType::MethodNotAllowed, None);
                allowing(response, &request)
            }
        };
        match request.method {
            Method::HEAD => answer::without_body(response),
            _ => response,
        }
    })
}

fn allowing(mut response: Response<StoredBody>, request: &ResourceRequest) -> Response<StoredBody> {
    let allowed = match request.part() {
        Part::Job => "GET, HEAD, DELETE, OPTIONS",
        Part::Status => "GET, HEAD, OPTIONS",
        Part::Events(_) => "GET, OPTIONS",
    };
    let allowed = HeaderValue::from_static(allowed);
    response.headers_mut().insert(ALLOW, allowed);
    response
}

async fn read(front: &Arc<Front>, request: &ResourceRequest) -> Response<StoredBody> {
    let Some((id, part)) = &request.target else {
        return answer::unknown();
    };
    let read = match part {
        Part::Job => poll::poll(front, request, id).await,
        Part::Status => status(front, request, id).await,
        Part::Events(listener) => events::listen(front, request, id, *listener).await,
    };
    read.unwrap_or_else(|error| unreadable(request.page, &error))
}

async fn status(
    front: &Front,
    request: &ResourceRequest,
    id: &JobId,
) -> Result<Response<StoredBody>, StoreError> {
    let record = find(front, request, id, Detail::Status).await?;
    Ok(record.map_or_else(answer::unknown, |record| {
        answer::status(front, &record, StatusCode::OK)
    }))
}

/// Returns the job if it exists and the client may see it. For other clients it is unknown, and the
/// lookup takes the same time.
async fn find(
    front: &Front,
    request: &ResourceRequest,
    id: &JobId,
    detail: Detail,
) -> Result<Option<JobRecord>, StoreError> {
    let record = front.node.store.read(id, detail).await?;
    Ok(record.filter(|record| request.may_see(record)))
}

async fn delete(front: &Front, request: &ResourceRequest) -> Response<StoredBody> {
    let Some((id, _)) = &request.target else {
        return answer::unknown();
    };
    let detail = match request.is_conditional() {
        true => Detail::Head,
        false => Detail::Status,
    };
    let kept = |record: &JobRecord| {
        let conditions = request.conditions(record)?;
        answer::kept(&front.node.store, record, conditions)
    };
    let deleted = match find(front, request, id, detail).await {
        Ok(Some(record)) => match kept(&record) {
            Some(refusal) => Ok(refusal),
            None => cancel(front, record).await,
        },
        Ok(None) => Ok(answer::unknown()),
        Err(error) => Err(error),
    };
    deleted.unwrap_or_else(|error| answer::unreadable(&error))
}

/// Cancels a pending job, and removes one that has ended.
async fn cancel(front: &Front, mut record: JobRecord) -> Result<Response<StoredBody>, StoreError> {
    let (cancellation, runs) = match record.state {
        state if state.is_pending() => cancel_pending(&front.node, &record.id).await?,
        state => (Cancellation::Ended(state), false),
    };
    front.node.expected.came(&record.id);
    match cancellation {
        Cancellation::Cancelled { ended } => {
            record.state = JobState::Cancelled;
            record.ended = Some(ended);
            log_unrun(&record, runs);
            Ok(answer::status(front, &record, StatusCode::ACCEPTED))
        }
        Cancellation::Ended(_) if front.node.store.remove(&record.id).await? => {
            Ok(answer::no_content())
        }
        _ => Ok(answer::unknown()),
    }
}
