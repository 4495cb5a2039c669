//! The list of jobs for operators, and cancelling.

mod document;
mod selection;

use std::{
    convert::Infallible,
    fmt,
    sync::Arc,
    task::{Context, Poll},
};

use http::{HeaderValue, Method, Request, Response, StatusCode, header::ALLOW};
use http_polling::{JSON, JobState, ProblemType};
use serde_json::{Value, json};
use tower::Service;
use tower_async_job_core::{Cancellation, Detail, JobHandle, JobRecord, StoreError};

use self::selection::Selection;
use crate::{
    answer,
    body::StoredBody,
    node::{front::Front, housekeeping::keep_shared_house},
    resource::{
        cancel::{cancel_pending, log_unrun},
        list,
        service::ResourceFuture,
    },
};

/// The resource for operators; see
/// [`AsyncJobLayer::operator_resource`](crate::AsyncJobLayer::operator_resource).
///
/// **It performs no authentication.** By default it is mounted nowhere; mount it behind
/// authentication.
///
/// | request | answer |
/// |---|---|
/// | GET, HEAD `/` | 200, a page of jobs, newest first; 400 for parameters that it does not have |
/// | GET, HEAD `/{handle}` | 200, one job |
/// | DELETE `/{handle}` | pending: cancelled, 202; ended: 409, and its result stays |
/// | OPTIONS | 204 with `Allow` |
/// | others | 405 with `Allow` |
///
/// An unknown or malformed handle is answered with 404, an unreachable store with 503 and
/// Retry-After, and a damaged record with 500. Every answer has `Cache-Control: no-store`, every
/// error is a problem document (RFC 9457), and the request's body is not read.
///
/// # The list
///
/// Each parameter may occur once. `state`, `route` and `principal` select the jobs of that state,
/// route and principal, `older_than` those that were created more than this number of seconds ago, by
/// the time of day of this node. `limit` is the length of a page (1 to 1000, by default 50), and
/// `cursor` its beginning. The `next` member, and the `Link` field with `rel="next"` (RFC 8288),
/// refer to the next page, relative to the request's URL, until the end is reached. The list is no
/// snapshot: jobs that are created meanwhile come before the first page, and none is shown twice. A
/// store may scan every job for each page, or every job of the selected principal. Unreadable jobs
/// are left out; the member `unreadable` is their number, if there are any.
///
/// ```json
/// {
///   "jobs": [{
///     "handle": "8a3c0f5e1b7d9246", "state": "running", "route": "/report", "protocol": "http",
///     "owned": true, "attempt": 1, "created": "2026-01-02T03:04:05.678Z",
///     "started": "2026-01-02T03:04:05.679Z", "age_ms": 7000, "running_for_ms": 6999,
///     "progress": { "fraction": 0.5, "message": "half way" }
///   }],
///   "next": "?state=running&limit=1&cursor=1767323045678000-8a3c0f5e1b7d9246"
/// }
/// ```
///
/// Times are for people to read; `age_ms` and `running_for_ms` are measured by the store's clock.
/// One job by its handle is the same object, with its `problem` if it failed or timed out.
///
/// # Omissions
///
/// The list does not give access to results: it names a job by its handle, which is random and
/// unrelated to the id. It omits the response, partial results, and the handler's metadata, which
/// is meant for the client. It also omits the principal, which may be a person's name or a
/// credential; `owned` is whether there is one. The message of the progress is shown as the handler
/// wrote it.
///
/// Cancelling uses DELETE instead of POST, since a page of another origin cannot make a browser
/// send that without a CORS preflight. It cancels a pending job like the client's own DELETE, but
/// leaves an ended one unchanged, so a late operator does no harm.
#[derive(Clone)]
pub struct OperatorResource {
    front: Arc<Front>,
    base: Box<str>,
}

impl OperatorResource {
    pub(crate) fn new(front: Arc<Front>) -> Self {
        Self {
            front,
            base: Box::default(),
        }
    }

    /// Sets the path that precedes the list, if no router strips it. Default: none; axum's
    /// `nest_service` strips the path of the mount point.
    ///
    /// ```
    /// let jobs = tower_async_job::AsyncJobLayer::new();
    /// let operators = jobs.operator_resource().base("/admin/jobs");
    /// ```
    #[must_use]
    pub fn base(mut self, base: &str) -> Self {
        self.base = base.trim_end_matches('/').into();
        self
    }

    fn target(&self, path: &str) -> Target {
        match path.strip_prefix(&*self.base).unwrap_or(path) {
            "" | "/" => Target::List,
            path => path
                .strip_prefix('/')
                .and_then(|handle| handle.parse().ok())
                .map_or(Target::Nothing, Target::Job),
        }
    }
}

impl<B> Service<Request<B>> for OperatorResource {
    type Response = Response<StoredBody>;
    type Error = Infallible;
    type Future = ResourceFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> ResourceFuture {
        keep_shared_house(&self.front.node);
        let front = self.front.clone();
        let method = request.method().clone();
        let target = self.target(request.uri().path());
        let query = request.uri().query().unwrap_or_default().to_owned();
        ResourceFuture::new(Box::pin(async move {
            let answered = match method {
                Method::GET | Method::HEAD => read(&front, target, &query).await,
                Method::DELETE if target != Target::List => cancel(&front, target).await,
                Method::OPTIONS => Ok(allowing(answer::no_content(), target)),
                _ => {
                    let response = answer::problem(ProblemType::MethodNotAllowed, None);
                    Ok(allowing(response, target))
                }
            };
            let response = answered.unwrap_or_else(|error| list::unreadable(&error));
            list::by(&method, response)
        }))
    }
}

impl fmt::Debug for OperatorResource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OperatorResource")
            .field("base", &self.base)
            .finish_non_exhaustive()
    }
}

/// The target of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Target {
    List,
    Job(JobHandle),
    /// The path is that of no possible job.
    Nothing,
}

type Answered = Result<Response<StoredBody>, StoreError>;

fn allowing(mut response: Response<StoredBody>, target: Target) -> Response<StoredBody> {
    let allowed = HeaderValue::from_static(match target {
        Target::List => "GET, HEAD, OPTIONS",
        Target::Job(_) | Target::Nothing => "GET, HEAD, DELETE, OPTIONS",
    });
    response.headers_mut().insert(ALLOW, allowed);
    response
}

async fn read(front: &Front, target: Target, query: &str) -> Answered {
    match target {
        Target::List => page(front, query).await,
        Target::Job(handle) => job(front, handle).await,
        Target::Nothing => Ok(unknown()),
    }
}

async fn page(front: &Front, query: &str) -> Answered {
    let selection = match Selection::parse(query) {
        Ok(selection) => selection,
        Err(invalid) => {
            return Ok(list::problem(
                StatusCode::BAD_REQUEST,
                &invalid.to_string(),
                None,
            ));
        }
    };
    let page = front.node.store.list(selection.query()).await?;
    let next = page.next.map(|cursor| selection.page_after(cursor));
    let document = |record: &JobRecord| document::job(record).to_string().into_bytes();
    Ok(list::page(&page, next, document).await)
}

async fn job(front: &Front, handle: JobHandle) -> Answered {
    let Some(mut record) = find(front, handle).await? else {
        return Ok(unknown());
    };
    // A response may be large and is not shown here; only a problem is read.
    let may_have_one = matches!(
        record.state,
        JobState::Failed | JobState::TimedOut | JobState::Lost
    );
    if may_have_one && let Some(full) = front.node.store.read(&record.id, Detail::Full).await? {
        record = full;
    }
    Ok(json(StatusCode::OK, &document::job(&record)))
}

async fn find(front: &Front, handle: JobHandle) -> Result<Option<JobRecord>, StoreError> {
    match front.node.store.find(handle).await? {
        Some(id) => front.node.store.read(&id, Detail::Status).await,
        None => Ok(None),
    }
}

async fn cancel(front: &Front, target: Target) -> Answered {
    let Target::Job(handle) = target else {
        return Ok(unknown());
    };
    let Some(id) = front.node.store.find(handle).await? else {
        return Ok(unknown());
    };
    match cancel_pending(&front.node, &id).await? {
        (Cancellation::Cancelled { .. }, runs) => {
            tracing::info!(%handle, "an operator cancelled a job");
            // It is cancelled, even if its status cannot be read.
            let document = match front.node.store.read(&id, Detail::Status).await {
                Ok(Some(record)) => {
                    log_unrun(&record, runs);
                    document::job(&record)
                }
                _ => json!({ "handle": handle.to_string(), "state": JobState::Cancelled.as_str() }),
            };
            Ok(json(StatusCode::ACCEPTED, &document))
        }
        (Cancellation::Ended(state), _) => {
            let detail = "the job has ended, and stays as it is";
            Ok(list::problem(StatusCode::CONFLICT, detail, Some(state)))
        }
        _ => Ok(unknown()),
    }
}

/// Returns a refusal without `Job-Status`, since it is not a job's own answer.
fn unknown() -> Response<StoredBody> {
    answer::problem(ProblemType::JobUnknown, None)
}

fn json(status: StatusCode, document: &Value) -> Response<StoredBody> {
    let mut response = answer::json(JSON, document.to_string().into_bytes());
    *response.status_mut() = status;
    response
}
