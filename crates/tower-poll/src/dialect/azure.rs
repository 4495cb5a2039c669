//! Azure's resource manager and data planes.

use http::{
    Method, StatusCode, Uri,
    header::{CONTENT_LOCATION, LOCATION},
};
use http_polling::{JobState, same_origin};
use serde_json::Value;

use super::{
    answer::{AZURE_ASYNC_OPERATION, Answer, OPERATION_LOCATION},
    document::{States, is_json, percent, problem, state, text},
    error::DialectError,
    reader::Dialect,
    step::{Interim, Step},
};

/// The words for states with a meaning here. All others are pending.
const STATES: &States = &[
    (JobState::Done, &["succeeded"]),
    (JobState::Failed, &["failed"]),
    (JobState::Cancelled, &["canceled", "cancelled"]),
    (JobState::Running, &["inprogress", "running"]),
    (JobState::Queued, &["accepted", "notstarted"]),
];

/// Long-running operations of Azure's resource manager (its remote procedure
/// call specification, "asynchronous operations"), and of those data planes
/// that follow Microsoft's guidelines for REST APIs.
///
/// An answer 200, 201 or 202 to PUT, PATCH, POST or DELETE names a status
/// monitor by `Azure-AsyncOperation`, else by `Operation-Location`. The
/// monitor answers with a JSON document whose `status` is `Succeeded`,
/// `Failed`, `Canceled` or, as long as the work goes on, anything else;
/// without a `status`, its `provisioningState` counts. Its `percentComplete`
/// becomes the progress, its `error` the problem. A monitor on the origin of
/// the submission is asked with the submission's `api-version`, unless its
/// URL has one.
///
/// A 202 with nothing but `Location` needs no dialect. Resources with a state
/// of their own do, and cannot be recognised by headers: see
/// [`poll_resources`](Self::poll_resources).
///
/// Once a monitor says `Succeeded`, the response comes by GET from its
/// `resourceLocation`, else after PUT and PATCH from the URI of the
/// submission, after POST from its `Location` if there was one. Otherwise, and
/// always after DELETE, it is the monitor's own answer.
/// [`final_state`](Self::final_state) overrides this.
///
/// ```
/// use tower_poll::dialect::{AzureResourceManager, FinalState};
///
/// let dialect = AzureResourceManager::new().final_state(FinalState::OriginalUri);
/// ```
#[derive(Clone, Copy, Debug, Default)]
#[must_use]
pub struct AzureResourceManager {
    final_state: Option<FinalState>,
    polls_resources: bool,
}

/// The source of the response of an operation that has succeeded:
/// `final-state-via` in Azure's API descriptions.
///
/// ```
/// use tower_poll::dialect::{AzureResourceManager, FinalState};
///
/// let dialect = AzureResourceManager::new().final_state(FinalState::Location);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FinalState {
    /// `location`: by GET from `Location`. Without one, as if not set.
    Location,
    /// `original-uri`: by GET from the URI of the submission.
    OriginalUri,
    /// `operation-location`: the monitor's own answer. After PUT and PATCH it
    /// is the resource all the same, as in Azure's own clients.
    OperationLocation,
    /// `azure-async-operation`: the same.
    AzureAsyncOperation,
}

impl AzureResourceManager {
    /// Reads operations with a status monitor. Nothing has to be set, except
    /// the [source](Self::final_state) of the response in some APIs.
    pub const fn new() -> Self {
        Self {
            final_state: None,
            polls_resources: false,
        }
    }

    /// Sets whether resources with a `properties.provisioningState`, or a
    /// `provisioningState` of their own, are read besides status monitors. Off
    /// by default. Such a dialect belongs [onto the
    /// layer](crate::PollLayer::dialect) of a client that talks to nothing but
    /// Azure.
    ///
    /// It reads each JSON answer 200 or 201 to a PUT or PATCH, and polls by
    /// GET at the same URI until the state is `Succeeded`, `Failed` or
    /// `Canceled`. A resource without a state is done, unless it is the answer
    /// 201 to its submission. The response is fetched after its document was
    /// read, so that even a PUT that is done at once takes a further GET. A
    /// body above the layer's [limit](crate::PollLayer::drain_limit) is an
    /// error.
    ///
    /// The answers at the `Location` of a 202 are read in the same way. After
    /// a 202 to PUT or PATCH without `Location`, the resource itself is
    /// polled.
    ///
    /// ```
    /// let dialect = tower_poll::dialect::AzureResourceManager::new().poll_resources(true);
    /// ```
    pub const fn poll_resources(mut self, polls_resources: bool) -> Self {
        self.polls_resources = polls_resources;
        self
    }

    /// Sets the source of the response once a status monitor says that the
    /// operation has succeeded. Determined by the answers by default.
    pub const fn final_state(mut self, final_state: FinalState) -> Self {
        self.final_state = Some(final_state);
        self
    }

    fn read_monitor(&self, answer: &Answer<'_>, monitor: Uri) -> Result<Step, DialectError> {
        if answer.is_to_submission() {
            return Ok(Step::Pending(answer.pending(monitor)));
        }
        let is_accepted = match answer.status() {
            StatusCode::OK | StatusCode::CREATED => false,
            StatusCode::ACCEPTED => true,
            StatusCode::NO_CONTENT => return self.finish(answer, &Value::Null),
            _ => return Ok(Step::AsHead),
        };
        let document = match answer.body() {
            None => return Ok(Step::NeedsBody),
            // The status code says enough.
            Some([]) if is_accepted => Value::Null,
            Some(_) => answer.json()?,
        };
        let status = match text(&document, "status")? {
            None => provisioning_state(&document)?,
            status => status,
        };
        let state = match status {
            Some(status) => state(status, STATES),
            None if is_accepted => None,
            None => return Err(DialectError::missing("`status`")),
        };
        match state {
            Some(JobState::Done) => self.finish(answer, &document),
            Some(state) if state.is_final() => Ok(Step::Failed(state, problem(&document))),
            state => Ok(Step::Pending(Interim {
                state,
                progress: percent(&document, "percentComplete"),
                ..answer.pending(monitor)
            })),
        }
    }

    /// Returns the step after a monitor's last `document`.
    fn finish(&self, answer: &Answer<'_>, document: &Value) -> Result<Step, DialectError> {
        let location = &answer.announced().location;
        let original = answer.submission();
        let is_change = matches!(*answer.submission_method(), Method::PUT | Method::PATCH);
        let url = match (self.final_state, location) {
            (Some(FinalState::Location), Some(location)) => Some(location.clone()),
            (Some(FinalState::OriginalUri), _) => Some(original.clone()),
            (Some(FinalState::OperationLocation | FinalState::AzureAsyncOperation), _)
                if !is_change =>
            {
                None
            }
            _ if *answer.submission_method() == Method::DELETE => None,
            _ => match text(document, "resourceLocation")? {
                Some(reference) => Some(answer.resolve(reference)?),
                None if is_change => Some(original.clone()),
                None => location.clone(),
            },
        };
        Ok(url.map_or(Step::Done, Step::Fetch))
    }
}

impl Dialect for AzureResourceManager {
    fn name(&self) -> &str {
        match self.polls_resources {
            true => "azure-resources",
            false => "azure",
        }
    }

    fn recognises(&self, answer: &Answer<'_>) -> bool {
        let is_change = match *answer.submission_method() {
            Method::PUT | Method::PATCH => true,
            Method::POST | Method::DELETE => false,
            _ => return false,
        };
        let is_resource = match answer.status() {
            StatusCode::OK | StatusCode::CREATED => is_change && is_json(answer.headers()),
            StatusCode::ACCEPTED => is_change || answer.headers().contains_key(LOCATION),
            _ => return false,
        };
        [AZURE_ASYNC_OPERATION, OPERATION_LOCATION]
            .iter()
            .any(|name| answer.headers().contains_key(name))
            || self.polls_resources && is_resource
    }

    fn read(&self, answer: &Answer<'_>) -> Result<Step, DialectError> {
        match monitor(answer)? {
            Some(monitor) => self.read_monitor(answer, monitor),
            None if self.polls_resources => read_resource(answer),
            None => Ok(Step::AsHead),
        }
    }

    fn polls_documents(&self) -> bool {
        true
    }

    fn cancellation(&self, _: &Uri) -> Option<Uri> {
        None
    }
}

/// Returns the status monitor that has been announced last, if there is one.
fn monitor(answer: &Answer<'_>) -> Result<Option<Uri>, DialectError> {
    let announced = answer.announced();
    for (name, url) in [
        (AZURE_ASYNC_OPERATION, &announced.azure_async_operation),
        (OPERATION_LOCATION, &announced.operation_location),
    ] {
        if let Some(url) = url {
            return Ok(Some(versioned(answer, url).unwrap_or(url.clone())));
        }
        // One that cannot be used counts as none, but is not to be passed over.
        answer.url_in(&name)?;
    }
    Ok(None)
}

/// Returns `url` with the `api-version` of the submission, if it has none and
/// is on the same origin.
fn versioned(answer: &Answer<'_>, url: &Uri) -> Option<Uri> {
    let version = api_version(answer.submission())?;
    if api_version(url).is_some() || !same_origin(url, answer.submission()) {
        return None;
    }
    let separator = if url.query().is_some() { '&' } else { '?' };
    let mut parts = url.clone().into_parts();
    let path = parts.path_and_query.take()?;
    parts.path_and_query = format!("{path}{separator}{version}").parse().ok();
    Uri::from_parts(parts).ok()
}

/// Returns the parameter `api-version` of the query, name and value.
fn api_version(url: &Uri) -> Option<&str> {
    url.query()?.split('&').find(|parameter| {
        let name = parameter.split('=').next().unwrap_or_default();
        name.eq_ignore_ascii_case("api-version")
    })
}

/// Reads an answer at the URI of the submission, or at the `Location` of its
/// answer.
fn read_resource(answer: &Answer<'_>) -> Result<Step, DialectError> {
    if answer.status() == StatusCode::ACCEPTED {
        return read_accepted(answer);
    }
    let is_created = answer.status() == StatusCode::CREATED;
    let is_resource = answer.asked() == answer.submission();
    let is_readable = is_created || answer.status() == StatusCode::OK;
    if !is_readable || !(is_resource || is_json(answer.headers())) {
        return Ok(Step::AsHead);
    }
    let document = match answer.body() {
        None => return Ok(Step::NeedsBody),
        // A resource that is polled must be there; other answers may be empty.
        Some([]) if answer.is_to_submission() || !is_resource => Value::Null,
        Some(_) => answer.json()?,
    };
    match provisioning_state(&document)? {
        None if is_created && answer.is_to_submission() => {}
        None => return Ok(Step::Done),
        Some(word) => match state(word, STATES) {
            Some(JobState::Done) => return Ok(Step::Done),
            Some(state) if state.is_final() => {
                return Ok(Step::Failed(state, problem(&document)));
            }
            // Resources have many words of their own for being at work.
            _ => {}
        },
    }
    Ok(Step::Pending(answer.pending(answer.asked().clone())))
}

/// Reads a 202 that has no monitor. The next poll goes to its `Location`, and
/// without one to the resource that is being changed.
fn read_accepted(answer: &Answer<'_>) -> Result<Step, DialectError> {
    let next = match answer.url_in(&LOCATION)? {
        Some(location) => versioned(answer, &location),
        None => {
            let is_bare = !answer.headers().contains_key(CONTENT_LOCATION);
            (is_bare && answer.is_to_submission()).then(|| answer.asked().clone())
        }
    };
    Ok(next.map_or(Step::AsHead, |url| Step::Pending(answer.pending(url))))
}

fn provisioning_state(resource: &Value) -> Result<Option<&str>, DialectError> {
    const NAME: &str = "provisioningState";
    if let Some(properties) = resource.get("properties")
        && let Some(state) = text(properties, NAME)?
    {
        return Ok(Some(state));
    }
    text(resource, NAME)
}

#[cfg(test)]
mod tests;
