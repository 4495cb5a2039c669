//! Status documents of job resources.

use http::{
    Method, StatusCode, Uri,
    header::{CONTENT_LOCATION, LOCATION},
};
use http_polling::{JobState, LocationError, StatusDocument, has_retry_after, resolve};

use super::{
    answer::Answer,
    document::is_json,
    error::DialectError,
    reader::Dialect,
    step::{Interim, Step},
};

/// The last segment of a status resource's path.
const SEGMENT: &str = "/status";

/// A status resource, `{job}/status`, that answers with 200 and a
/// [`StatusDocument`] in every state of the job.
///
/// It is not built in: put it [onto the layer](crate::PollLayer::dialect) to
/// follow such URLs, both in answers to submissions and as the target of a
/// GET. Once the job is done the response comes from the job's URL, which is
/// the same without `/status`. A job that ended otherwise is an error without
/// a problem document.
///
/// It reads answers with `Job-Status` too, such as those of `AsyncJobLayer`:
/// that is the state of the job, and not of the document.
///
/// ```
/// use tower_poll::dialect::{Dialect, StatusResource};
///
/// assert_eq!(StatusResource::new().name(), "status-resource");
/// ```
#[derive(Clone, Copy, Debug, Default)]
#[must_use]
pub struct StatusResource(());

impl StatusResource {
    /// Creates the dialect. There are no settings.
    pub const fn new() -> Self {
        Self(())
    }
}

impl Dialect for StatusResource {
    fn name(&self) -> &str {
        "status-resource"
    }

    fn recognises(&self, answer: &Answer<'_>) -> bool {
        match answer.status() {
            StatusCode::OK => {
                *answer.submission_method() == Method::GET
                    && is_status(answer.asked())
                    && is_json(answer.headers())
            }
            StatusCode::CREATED | StatusCode::ACCEPTED => named(answer).is_some(),
            // Without a delay it is a plain redirect.
            StatusCode::SEE_OTHER => has_retry_after(answer.headers()) && named(answer).is_some(),
            _ => false,
        }
    }

    fn read(&self, answer: &Answer<'_>) -> Result<Step, DialectError> {
        if answer.is_to_submission()
            && let Some(url) = named(answer)
        {
            return Ok(Step::Pending(answer.pending(url)));
        }
        if answer.status() != StatusCode::OK || !is_status(answer.asked()) {
            return Ok(Step::AsHead);
        }
        let Some(body) = answer.body() else {
            return Ok(Step::NeedsBody);
        };
        let document = StatusDocument::from_json(body)?;
        Ok(match document.state {
            JobState::Done => Step::Fetch(job(answer.asked())?),
            state if state.is_final() => Step::Failed(state, None),
            state => Step::Pending(Interim {
                retry_after: answer.retry_after().or(document.retry_after()),
                state: Some(state),
                progress: document.progress,
                ..Interim::at(answer.asked().clone())
            }),
        })
    }

    fn polls_documents(&self) -> bool {
        true
    }

    fn cancellation(&self, url: &Uri) -> Option<Uri> {
        match is_status(url) {
            true => job(url).ok(),
            false => Some(url.clone()),
        }
    }
}

/// Returns the status resource in the answer to a submission.
fn named(answer: &Answer<'_>) -> Option<Uri> {
    let headers = answer.headers();
    let reference = headers.get(LOCATION).or(headers.get(CONTENT_LOCATION))?;
    let url = resolve(answer.asked(), reference).ok()?;
    is_status(&url).then_some(url)
}

fn is_status(url: &Uri) -> bool {
    url.path().ends_with(SEGMENT)
}

/// Returns the job of a status resource.
fn job(status: &Uri) -> Result<Uri, LocationError> {
    let path = status.path();
    let job = path.strip_suffix(SEGMENT).unwrap_or(path);
    let last = job.rsplit('/').next().unwrap_or_default();
    resolve(status, format!("../{last}"))
}

#[cfg(test)]
mod tests;
