//! The selection of jobs by a request.

use std::{
    borrow::Cow,
    fmt,
    time::{Duration, SystemTime},
};

use http_polling::JobState;
use tower_async_job_core::{JobCursor, JobHandle, JobQuery, Principal};

use crate::resource::list;

/// The parameters of a request for the list.
#[derive(Debug, Default)]
pub(super) struct Selection {
    query: JobQuery,
}

impl Selection {
    /// Parses a query string. An unknown or repeated parameter, or an invalid value, is refused: a
    /// misspelt filter must not list everything.
    pub(super) fn parse(query: &str) -> Result<Self, Invalid> {
        let mut selection = JobQuery::default();
        let mut seen: Vec<Cow<'_, str>> = Vec::new();
        let mut latest = None;
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            if seen.contains(&name) {
                return Err(Invalid::Parameter);
            }
            selection = match &*name {
                "state" => selection.with_state(state(&value)?),
                "route" => selection.with_route(&*value),
                "principal" => selection.with_principal(Principal::new(&*value)),
                "older_than" => {
                    latest = Some(created_before(&value)?);
                    selection
                }
                "limit" => {
                    let limit = list::limit(&value, JobQuery::MAX_LIMIT);
                    selection.with_limit(limit.ok_or(Invalid::Limit)?)
                }
                "cursor" => selection.with_after(value.parse().map_err(|_| Invalid::Cursor)?),
                _ => return Err(Invalid::Parameter),
            };
            seen.push(name);
        }
        // The list goes on from the later of both, newest first.
        selection.after = selection.after.into_iter().chain(latest).min();
        Ok(Self { query: selection })
    }

    pub(super) fn query(&self) -> &JobQuery {
        &self.query
    }

    /// Returns a reference to the page after the cursor, relative to this one.
    pub(super) fn page_after(&self, cursor: JobCursor) -> String {
        let mut query = form_urlencoded::Serializer::new(String::from("?"));
        if let Some(state) = self.query.state {
            query.append_pair("state", state.as_str());
        }
        if let Some(route) = &self.query.route {
            query.append_pair("route", route);
        }
        if let Some(principal) = &self.query.principal {
            query.append_pair("principal", principal.as_str());
        }
        query.append_pair("limit", &self.query.limit().to_string());
        query.append_pair("cursor", &cursor.to_string());
        query.finish()
    }
}

fn state(text: &str) -> Result<JobState, Invalid> {
    // No job in the list is unknown.
    match text.parse() {
        Ok(JobState::Unknown) | Err(_) => Err(Invalid::State),
        Ok(state) => Ok(state),
    }
}

/// Returns the position of the jobs that are older than this number of seconds.
fn created_before(text: &str) -> Result<JobCursor, Invalid> {
    let seconds = text.parse().map_err(|_| Invalid::Age)?;
    let created = SystemTime::now().checked_sub(Duration::from_secs(seconds));
    let created = created.ok_or(Invalid::Age)?;
    Ok(JobCursor::new(created, JobHandle::from_bits(0)))
}

/// The error of invalid parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Invalid {
    Parameter,
    State,
    Age,
    Limit,
    Cursor,
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Parameter => f.write_str(
                "the parameters are state, route, principal, older_than, limit and cursor, \
                     each at most once",
            ),
            Self::State => f.write_str(
                "state is queued, running, done, failed, timed-out, lost, cancelled or expired",
            ),
            Self::Age => f.write_str("older_than is a number of seconds"),
            Self::Limit => write!(f, "limit is a number from 1 to {}", JobQuery::MAX_LIMIT),
            Self::Cursor => f.write_str("cursor is what the next link of another page has"),
        }
    }
}
