//! The header fields that a reading depends on.

use http::{HeaderMap, HeaderValue};

use crate::{job_state::JobState, retry_after::Asked};

/// The relevant fields of one response.
///
/// They are collected in one pass: a response has few fields, so that a lookup
/// of each name would cost more.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Fields<'a> {
    job_status: Field<'a>,
    pub(super) location: Field<'a>,
    pub(super) content_location: Field<'a>,
    pub(super) retry_after: Asked,
}

/// The values of a field.
#[derive(Clone, Copy, Debug, Default)]
pub(super) enum Field<'a> {
    #[default]
    Absent,
    Once(&'a HeaderValue),
    Several,
}

impl<'a> Fields<'a> {
    pub(super) fn of(headers: &'a HeaderMap) -> Self {
        let mut fields = Self::default();
        for (name, value) in headers {
            match name.as_str() {
                "location" => fields.location.add(value),
                "content-location" => fields.content_location.add(value),
                "job-status" => fields.job_status.add(value),
                name => fields.retry_after.note(name, value),
            }
        }
        fields
    }

    /// Returns the same state as [`JobState::from_headers`].
    pub(super) fn state(&self) -> Option<JobState> {
        match self.job_status {
            Field::Once(value) => JobState::from_bytes(value.as_bytes()),
            _ => None,
        }
    }
}

impl<'a> Field<'a> {
    /// Adds a value. A repeated value, as some proxies send it, counts once.
    fn add(&mut self, value: &'a HeaderValue) {
        *self = match self {
            Self::Absent => Self::Once(value),
            Self::Once(first) if *first == value => return,
            _ => Self::Several,
        };
    }
}
