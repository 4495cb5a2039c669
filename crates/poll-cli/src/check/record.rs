//! Recorded exchanges, which the checks look at.

use std::time::Duration;

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri,
    header::{ACCEPT, LOCATION, USER_AGENT},
};
use http_polling::{JOB_STATUS, JobState, RETRY_AFTER_MS, has_retry_after, resolve};
use serde_json::Value;
use tokio::time::Instant;

use super::{location::JobUrls, step::Step};
use crate::request::is_credential;

/// The maximum length of a body that the command is shown with, in bytes.
const SHOWN_BODY: usize = 200;

/// A request that was sent.
#[derive(Clone, Debug)]
pub(super) struct Sent {
    pub(super) method: Method,
    pub(super) uri: Uri,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

/// An answer that was received.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    /// The body, or its beginning if it is not `whole`.
    pub(super) body: Bytes,
    pub(super) whole: bool,
}

/// A request with its answer.
#[derive(Clone, Debug)]
pub(super) struct Exchange {
    pub(super) step: Step,
    pub(super) sent: Sent,
    pub(super) answer: Answer,
    /// The time at which the request was sent.
    pub(super) began: Instant,
    /// The time from then to the head of the answer.
    pub(super) took: Duration,
}

impl Answer {
    /// Returns the value of a field, if it is text.
    pub(super) fn field(&self, name: impl AsRef<str>) -> Option<&str> {
        self.headers.get(name.as_ref())?.to_str().ok()
    }

    pub(super) fn has(&self, name: impl AsRef<str>) -> bool {
        self.headers.contains_key(name.as_ref())
    }

    /// Returns the state in `Job-Status`, if it is known.
    pub(super) fn state(&self) -> Option<JobState> {
        self.field(JOB_STATUS)?.parse().ok()
    }

    /// Returns whether the answer announces a pending job.
    pub(super) fn is_pending(&self) -> bool {
        match self.state() {
            Some(state) => state.is_pending(),
            None => {
                let delayed = has_retry_after(&self.headers) || self.has(RETRY_AFTER_MS);
                self.has(LOCATION)
                    && (self.status == StatusCode::ACCEPTED
                        || (self.status == StatusCode::SEE_OTHER && delayed))
            }
        }
    }

    /// Returns whether the field `name`, a list, has this member.
    pub(super) fn lists(&self, name: impl AsRef<str>, member: &str) -> bool {
        let values = self.headers.get_all(name.as_ref()).iter();
        values.filter_map(|value| value.to_str().ok()).any(|list| {
            list.split(',')
                .any(|item| item.trim().eq_ignore_ascii_case(member))
        })
    }

    /// Returns the body as JSON.
    pub(super) fn json(&self) -> Option<Value> {
        serde_json::from_slice(&self.body).ok()
    }

    /// Returns the media type, without parameters and in lower case.
    pub(super) fn media_type(&self) -> String {
        let text = self.field("content-type").unwrap_or_default();
        let media_type = text.split(';').next().unwrap_or_default();
        media_type.trim().to_ascii_lowercase()
    }

    /// Describes the head by the fields that decide.
    pub(super) fn summary(&self) -> String {
        let mut text = self.status.as_u16().to_string();
        if let Some(state) = self.field(JOB_STATUS) {
            text += &format!(", Job-Status: {state}");
        }
        text
    }
}

impl Exchange {
    /// Returns the URL of the next poll, as `Location` names it.
    pub(super) fn location(&self) -> Option<Uri> {
        resolve(&self.sent.uri, self.answer.headers.get(LOCATION)?).ok()
    }

    /// Returns the URLs of the pending job that the answer announces.
    pub(super) fn job(&self) -> Option<JobUrls> {
        let location = self.location().filter(|_| self.answer.is_pending());
        location.map(JobUrls::new)
    }

    /// Returns a command of curl that repeats the request, without secrets.
    pub(super) fn curl(&self) -> String {
        let mut text = match self.sent.method {
            Method::GET => "curl -i".to_owned(),
            Method::HEAD => "curl -I".to_owned(),
            ref method => format!("curl -i -X {method}"),
        };
        let is_usual = |name: &HeaderName, value: &HeaderValue| {
            *name == USER_AGENT || (*name == ACCEPT && value == "*/*")
        };
        let fields = self.sent.headers.iter();
        for (name, value) in fields.filter(|(name, value)| !is_usual(name, value)) {
            text += &format!(" -H {}", quoted(&line(name, value.as_bytes())));
        }
        if !self.sent.body.is_empty() {
            let body = std::str::from_utf8(&self.sent.body).ok();
            let body = body.filter(|body| body.len() <= SHOWN_BODY && !body.starts_with('@'));
            text += &format!(" --data-binary {}", quoted(body.unwrap_or("@BODY")));
        }
        format!("{text} {}", quoted(&self.sent.uri.to_string()))
    }
}

fn line(name: &HeaderName, value: &[u8]) -> String {
    match is_credential(name) {
        true => format!("{name}: [redacted]"),
        false => format!("{name}: {}", String::from_utf8_lossy(value)),
    }
}

/// Quotes a word for a shell, for which only single quotes are special within single quotes.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests;
