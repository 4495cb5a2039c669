//! The list of a client's own jobs: those of its principal.

use std::{borrow::Cow, fmt, sync::Arc};

use http::{HeaderValue, Method, Request, Response, StatusCode, header::ALLOW};
use http_polling::{ProblemType, RequestHead};
use serde_json::Value;
use tower_async_job_core::{JobCursor, JobQuery, JobRecord, Json, Principal, StoreError};

use crate::{
    answer::{self, Answer},
    body::StoredBody,
    config::Config,
    node::front::Front,
    panics::Panicked,
    resource::{
        list,
        request::{mounted, public_path},
    },
};

/// The maximum number of jobs on a page, since their reports may be long.
const MAX_LIMIT: usize = 100;

/// The bytes of metadata that a document in the list may have.
const METADATA_LIMIT: usize = 4096;

/// A request for the list.
pub(crate) struct OwnJobs {
    method: Method,
    query: Box<str>,
    /// `None` if the client has no principal, or too long a one.
    principal: Option<Principal>,
}

impl OwnJobs {
    /// Returns whether the list is at this path, as the layer sees it.
    #[inline]
    pub(crate) fn are_at_base(config: &Config, path: &str) -> bool {
        let is_base = |rest| matches!(rest, "" | "/");
        config.lists_own_jobs && path.strip_prefix(&*config.base).is_some_and(is_base)
    }

    /// Returns whether the list is at this path, as the job resource sees it.
    pub(crate) fn are_at(config: &Config, path: &str) -> bool {
        config.lists_own_jobs
            && (Self::are_at_base(config, path)
                || path == public_path(config)
                || mounted(config, path).is_empty())
    }

    /// Reads a request for the list.
    pub(crate) fn new<B>(config: &Config, request: &Request<B>) -> Result<Self, Panicked> {
        let principal = config.principal_of(RequestHead::of(request))?;
        Ok(Self {
            method: request.method().clone(),
            query: request.uri().query().unwrap_or_default().into(),
            principal: principal.filter(|principal| !config.is_too_long(principal)),
        })
    }
}

/// Answers a request for the list.
pub(crate) fn answer(front: Arc<Front>, request: Result<OwnJobs, Panicked>) -> Answer {
    Box::pin(async move {
        let Ok(request) = request else {
            return answer::panicked(tower_async_job_core::Protocol::Http);
        };
        let response = match request.method {
            Method::GET | Method::HEAD => read(&front, &request).await,
            Method::OPTIONS => Ok(allowing(answer::no_content())),
            _ => Ok(allowing(answer::problem(
                ProblemType::MethodNotAllowed,
                None,
            ))),
        };
        let response = response.unwrap_or_else(|error| list::unreadable(&error));
        list::by(&request.method, response)
    })
}

fn allowing(mut response: Response<StoredBody>) -> Response<StoredBody> {
    let allowed = HeaderValue::from_static("GET, HEAD, OPTIONS");
    response.headers_mut().insert(ALLOW, allowed);
    response
}

async fn read(front: &Front, request: &OwnJobs) -> Result<Response<StoredBody>, StoreError> {
    let Some(principal) = &request.principal else {
        return Ok(answer::problem(ProblemType::JobUnknown, None));
    };
    let query = match query(&request.query) {
        Ok(query) => query.with_principal(principal.clone()),
        Err(invalid) => {
            let detail = invalid.to_string();
            return Ok(list::problem(StatusCode::BAD_REQUEST, &detail, None));
        }
    };
    let mut page = front.node.store.list(&query).await?;
    // A store that lists others too reveals nothing.
    page.jobs.retain(|record| is_of(record, principal));
    tracing::debug!(jobs = page.jobs.len(), "own jobs listed");
    let next = page.next.map(|cursor| reference(&query, cursor));
    let document = |record: &JobRecord| document(front, record);
    Ok(list::page(&page, next, document).await)
}

fn is_of(record: &JobRecord, principal: &Principal) -> bool {
    let owner = record.owner.as_ref();
    owner.is_some_and(|owner| owner.is(principal))
}

/// Parses the parameters. An unknown or repeated one, or an invalid value, is refused.
fn query(text: &str) -> Result<JobQuery, Invalid> {
    let mut query = JobQuery::default();
    let mut seen: Vec<Cow<'_, str>> = Vec::new();
    for (name, value) in form_urlencoded::parse(text.as_bytes()) {
        if seen.contains(&name) {
            return Err(Invalid::Parameter);
        }
        query = match &*name {
            "limit" => query.with_limit(list::limit(&value, MAX_LIMIT).ok_or(Invalid::Limit)?),
            "after" => query.with_after(value.parse().map_err(|_| Invalid::After)?),
            _ => return Err(Invalid::Parameter),
        };
        seen.push(name);
    }
    Ok(query)
}

/// Returns a reference to the page after the cursor, relative to this one.
fn reference(query: &JobQuery, cursor: JobCursor) -> String {
    format!("?limit={}&after={cursor}", query.limit())
}

/// Returns the status document of a job with its URL, without a result so far and long metadata.
fn document(front: &Front, record: &JobRecord) -> Vec<u8> {
    let id = record.id.encode();
    let mut status = answer::document(record, id.as_str());
    status.partial = None;
    let is_long = |json: &Json| json.as_bytes().len() > METADATA_LIMIT;
    if record.metadata.as_ref().is_some_and(is_long) {
        status.metadata = None;
    }
    if record.state.is_pending() {
        let delay = front.node.delay(&record.id, &answer::known(front, record));
        status = status.with_retry_after(delay);
    }
    let mut json = status.to_json();
    let href = [&*front.config.public_base, "/", id.as_str()].concat();
    json.pop();
    json.extend(format!(",\"href\":{}}}", Value::from(href)).into_bytes());
    json
}

/// The error of invalid parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Invalid {
    Parameter,
    Limit,
    After,
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Parameter => f.write_str("the parameters are limit and after, each at most once"),
            Self::Limit => write!(f, "limit is a number from 1 to {MAX_LIMIT}"),
            Self::After => f.write_str("after is what the next link of another page has"),
        }
    }
}
