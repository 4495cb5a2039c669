//! The job resource: what is answered under the base, to anybody who knows a job's id.

use std::{
    convert::Infallible,
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use http::{
    HeaderValue, Method, Request, Response, StatusCode, Version,
    header::{ALLOW, TE},
};
use http_polling::ProblemType;
use tower::Service;
use tower_async_job_core::{Cancellation, Detail, JobId, StoreError};

use crate::{answer, body::StoredBody, shared::Shared};

pub(crate) type Answer = Pin<Box<dyn Future<Output = Response<StoredBody>> + Send>>;

/// The job resource as a service; see [`AsyncJobLayer::resource`](crate::AsyncJobLayer::resource).
///
/// | request | answer |
/// |---|---|
/// | GET, HEAD `/{id}` | pending: the announcement again; ended: the stored response, or a problem |
/// | GET, HEAD `/{id}/status` | 200 and the status document |
/// | DELETE `/{id}` | pending: cancels, 202; ended: drops the result, 204 |
/// | OPTIONS | 204 with `Allow` |
/// | others | 405 with `Allow` |
///
/// An id that is unknown or malformed is answered with 404, a store that cannot be reached with
/// 503 and Retry-After. The request's body is not read.
#[derive(Clone)]
pub struct JobResource {
    shared: Arc<Shared>,
}

impl JobResource {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
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
        let path = request.uri().path();
        let path = below(&self.shared.config.base, path)
            .or_else(|| path.strip_prefix('/'))
            .unwrap_or(path);
        let request = ResourceRequest::new(&request, path);
        ResourceFuture {
            answer: answer(self.shared.clone(), request),
        }
    }
}

impl fmt::Debug for JobResource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JobResource")
            .field("base", &self.shared.config.base)
            .finish_non_exhaustive()
    }
}

/// The response of a [`JobResource`]. Dropping it does nothing to the job.
#[must_use = "futures do nothing unless polled"]
pub struct ResourceFuture {
    answer: Answer,
}

impl Future for ResourceFuture {
    type Output = Result<Response<StoredBody>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.answer.as_mut().poll(cx).map(Ok)
    }
}

impl fmt::Debug for ResourceFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResourceFuture").finish_non_exhaustive()
    }
}

/// The part of a path below the base.
#[inline]
pub(crate) fn below<'p>(base: &str, path: &'p str) -> Option<&'p str> {
    path.strip_prefix(base)?.strip_prefix('/')
}

/// What matters of a request for the job resource.
#[derive(Debug)]
pub(crate) struct ResourceRequest {
    method: Method,
    /// `None` if the path names no job that there could be.
    target: Option<(JobId, Part)>,
    /// How many answers this client says it has had.
    polls: u32,
    /// Whether the connection can carry trailers (RFC 9110, section 6.5.1).
    trailers: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Job,
    Status,
}

impl ResourceRequest {
    /// `path` is the part below the base, without a leading slash.
    pub(crate) fn new<B>(request: &Request<B>, path: &str) -> Self {
        let (id, part) = match path.split_once('/') {
            None => (path, Some(Part::Job)),
            Some((id, "status")) => (id, Some(Part::Status)),
            Some((id, _)) => (id, None),
        };
        Self {
            method: request.method().clone(),
            target: part.and_then(|part| Some((JobId::parse(id)?, part))),
            polls: request.uri().query().map_or(0, polls),
            trailers: request.version() >= Version::HTTP_2 || accepts_trailers(request),
        }
    }

    fn is_for_status(&self) -> bool {
        matches!(self.target, Some((_, Part::Status)))
    }
}

/// The hint in a pending Location. Whoever forges it fools himself only.
fn polls(query: &str) -> u32 {
    query
        .split('&')
        .find_map(|pair| pair.strip_prefix("poll=")?.parse().ok())
        .unwrap_or(0)
}

fn accepts_trailers<B>(request: &Request<B>) -> bool {
    request
        .headers()
        .get_all(TE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|coding| coding.trim().eq_ignore_ascii_case("trailers"))
}

/// Answers a request for the job resource.
pub(crate) fn answer(shared: Arc<Shared>, request: ResourceRequest) -> Answer {
    Box::pin(async move {
        match request.method {
            Method::GET => read(&shared, &request).await,
            Method::HEAD => answer::without_body(read(&shared, &request).await),
            Method::DELETE if !request.is_for_status() => delete(&shared, &request).await,
            Method::OPTIONS => {
                let mut response = Response::new(StoredBody::default());
                *response.status_mut() = StatusCode::NO_CONTENT;
                allowing(response, &request)
            }
            _ => {
                let response = answer::problem(ProblemType::MethodNotAllowed, None);
                allowing(response, &request)
            }
        }
    })
}

fn allowing(mut response: Response<StoredBody>, request: &ResourceRequest) -> Response<StoredBody> {
    let allowed = if request.is_for_status() {
        "GET, HEAD, OPTIONS"
    } else {
        "GET, HEAD, DELETE, OPTIONS"
    };
    let allowed = HeaderValue::from_static(allowed);
    response.headers_mut().insert(ALLOW, allowed);
    response
}

async fn read(shared: &Shared, request: &ResourceRequest) -> Response<StoredBody> {
    let Some((id, part)) = &request.target else {
        return answer::unknown();
    };
    let detail = match part {
        Part::Job => Detail::Full,
        Part::Status => Detail::Status,
    };
    match shared.store.read(id, detail).await {
        Ok(Some(record)) if *part == Part::Status => answer::status(&record, StatusCode::OK),
        Ok(Some(record)) if record.state.is_pending() => {
            answer::pending(&shared.config, &record, request.polls)
        }
        Ok(Some(record)) => answer::ended(record, request.trailers),
        Ok(None) => answer::unknown(),
        Err(error) => unavailable(id, &error),
    }
}

async fn delete(shared: &Shared, request: &ResourceRequest) -> Response<StoredBody> {
    let Some((id, _)) = &request.target else {
        return answer::unknown();
    };
    match cancel(shared, id).await {
        Ok(response) => response,
        Err(error) => unavailable(id, &error),
    }
}

async fn cancel(shared: &Shared, id: &JobId) -> Result<Response<StoredBody>, StoreError> {
    match shared.store.cancel(id).await? {
        Cancellation::Cancelled => {
            shared.registry.cancel(id);
            // It is cancelled, whether or not more can be said of it.
            Ok(match shared.store.read(id, Detail::Status).await {
                Ok(Some(record)) => answer::status(&record, StatusCode::ACCEPTED),
                _ => answer::cancelled(id),
            })
        }
        Cancellation::Ended(_) if shared.store.remove(id).await? => {
            let mut response = Response::new(StoredBody::default());
            *response.status_mut() = StatusCode::NO_CONTENT;
            Ok(response)
        }
        _ => Ok(answer::unknown()),
    }
}

fn unavailable(id: &JobId, error: &StoreError) -> Response<StoredBody> {
    tracing::warn!(%error, job = ?id, "the job store could not be read");
    answer::unavailable()
}
