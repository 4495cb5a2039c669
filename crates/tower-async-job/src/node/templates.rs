//! The headers of pending answers.

use std::time::Duration;

use http::{
    HeaderMap, HeaderValue, StatusCode,
    header::{CONTENT_LOCATION, CONTENT_TYPE, LOCATION, VARY},
};
use http_polling::{JSON, JobState, set_retry_after};

use tower_async_job_core::PendingStatus;

use crate::{
    config::Config,
    headers::{USUAL_HEADERS, set_no_store, set_state},
    request::accept,
};

/// The headers of a layer's pending answers, created once. Cloning them and filling in values is
/// cheaper than inserting headers one by one.
#[derive(Debug)]
pub(crate) struct Templates {
    see_other: Template,
    accepted: Template,
}

/// The headers of pending answers with one status.
#[derive(Debug)]
pub(crate) struct Template {
    pub(crate) status: StatusCode,
    pub(crate) accepted: HeaderMap,
    pub(crate) polled: HeaderMap,
}

impl Templates {
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            see_other: Template::new(config, PendingStatus::SeeOther),
            accepted: Template::new(config, PendingStatus::Accepted),
        }
    }

    pub(crate) fn of(&self, status: PendingStatus) -> &Template {
        match status {
            PendingStatus::Accepted => &self.accepted,
            _ => &self.see_other,
        }
    }
}

impl Template {
    fn new(config: &Config, status: PendingStatus) -> Self {
        // Replaced in each answer, after the Content-Location, which has the same value.
        let location = HeaderValue::from_static("/");
        let mut accepted = HeaderMap::with_capacity(USUAL_HEADERS);
        accepted.insert(CONTENT_TYPE, JSON);
        set_no_store(&mut accepted);
        set_state(&mut accepted, JobState::Running);
        set_retry_after(&mut accepted, Duration::ZERO);
        let status = match status {
            PendingStatus::Accepted => {
                accepted.insert(CONTENT_LOCATION, location.clone());
                StatusCode::ACCEPTED
            }
            _ => StatusCode::SEE_OTHER,
        };
        accepted.insert(LOCATION, location);
        let mut polled = accepted.clone();
        // The choice of the pending answer to a GET depends on these (RFC 9110, section 12.5.5).
        let vary = if config.page { accept::VARY } else { "prefer" };
        polled.insert(VARY, HeaderValue::from_static(vary));
        Self {
            status,
            accepted,
            polled,
        }
    }
}
