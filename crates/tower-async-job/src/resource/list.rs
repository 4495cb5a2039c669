//! The pages of a list of jobs: for operators, and of a client's own.

use http::{HeaderValue, Method, Response, StatusCode, header::LINK};
use http_polling::{JOB_STATUS, JSON, JobState};
use tokio::task::yield_now;
use tower_async_job_core::{JobPage, JobRecord, StoreError};

use crate::{answer, body::StoredBody};

/// The number of jobs serialised per poll of a task: each takes about 15 µs.
const SLICE: usize = 16;

/// Returns the maximum number of jobs on a page that a request asks for, from 1 to `most`.
pub(super) fn limit(text: &str, most: usize) -> Option<usize> {
    let limit = text.parse().ok();
    limit.filter(|limit| (1..=most).contains(limit))
}

/// Returns a page, of the document of each job, with a reference to the `next` one.
pub(super) async fn page(
    page: &JobPage,
    next: Option<String>,
    mut document: impl FnMut(&JobRecord) -> Vec<u8>,
) -> Response<StoredBody> {
    let mut list = b"{\"jobs\":[".to_vec();
    for (index, record) in page.jobs.iter().enumerate() {
        if index > 0 {
            list.push(b',');
        }
        list.append(&mut document(record));
        if index % SLICE == SLICE - 1 {
            yield_now().await;
        }
    }
    list.push(b']');
    if let Some(next) = &next {
        let next = serde_json::Value::from(next.as_str());
        list.extend(format!(",\"next\":{next}").into_bytes());
    }
    if page.unreadable > 0 {
        list.extend(format!(",\"unreadable\":{}", page.unreadable).into_bytes());
    }
    list.push(b'}');
    let mut response = answer::json(JSON, list);
    if let Some(next) = next
        && let Ok(link) = HeaderValue::try_from(format!("<{next}>; rel=\"next\""))
    {
        response.headers_mut().insert(LINK, link);
    }
    response
}

/// Returns a problem without `Job-Status`, since it is not a job's own answer.
pub(super) fn problem(
    status: StatusCode,
    detail: &str,
    state: Option<JobState>,
) -> Response<StoredBody> {
    let mut problem = answer::problem_of(status).with_detail(detail);
    if let Some(state) = state {
        problem = problem.with_extension("state", state.as_str());
    }
    answer::problem_response(&problem)
}

/// Returns the answer if the store cannot be read.
pub(super) fn unreadable(error: &StoreError) -> Response<StoredBody> {
    let mut response = answer::unreadable(error);
    // The list is not a job's own answer.
    response.headers_mut().remove(JOB_STATUS);
    response
}

/// Returns the answer to a request by this method, which HEAD gets without its body.
pub(super) fn by(method: &Method, response: Response<StoredBody>) -> Response<StoredBody> {
    match *method {
        Method::HEAD => answer::without_body(response),
        _ => response,
    }
}
