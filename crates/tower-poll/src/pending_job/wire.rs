//! The serde form of a pending job.

use std::time::{Duration, UNIX_EPOCH};

use http::{
    Method, Uri,
    uri::{Authority, Parts},
};
use http_polling::{JobState, resolve};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::PendingJob;
use crate::dialect::{Announced, CallContext};

/// The version of the form, raised when a member changes its meaning.
const VERSION: u32 = 1;

#[derive(Serialize, Deserialize)]
struct Wire {
    version: u32,
    url: String,
    /// Scheme, host and port of the submission.
    origin: String,
    #[serde(default, skip_serializing_if = "is_false")]
    head: bool,
    #[serde(default)]
    polls: u32,
    #[serde(default)]
    elapsed_ms: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    retry_after_ms: Option<u64>,
    /// The time of the next poll, in ms since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    due_ms: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    state: Option<JobState>,
    #[serde(default, skip_serializing_if = "is_false")]
    job_status: bool,
    #[serde(default, skip_serializing_if = "is_false")]
    not_cancellable: bool,
    #[serde(default, skip_serializing_if = "is_false")]
    credentials_dropped: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    dialect: Option<WireDialect>,
}

#[derive(Serialize, Deserialize)]
struct WireDialect {
    name: String,
    method: String,
    submission: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    location: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    content_location: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    operation_location: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    azure_async_operation: Option<String>,
}

impl Serialize for PendingJob {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Wire::from(self).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for PendingJob {
    /// Fails for an unknown version, and for URLs that could not be polled.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let wire = Wire::deserialize(deserializer)?;
        wire.try_into().map_err(de::Error::custom)
    }
}

impl From<&PendingJob> for Wire {
    fn from(job: &PendingJob) -> Self {
        Self {
            version: VERSION,
            url: text(&job.url),
            origin: text(&job.origin),
            head: job.method == Method::HEAD,
            polls: job.polls,
            elapsed_ms: millis(job.elapsed),
            retry_after_ms: job.retry_after.map(millis),
            due_ms: job
                .due
                .and_then(|due| due.duration_since(UNIX_EPOCH).ok())
                .map(millis),
            state: job.state,
            job_status: job.has_status,
            not_cancellable: !job.is_cancellable,
            credentials_dropped: job.crossed,
            dialect: job.dialect.as_deref().map(|(name, context)| {
                let announced = &context.announced;
                let text = |url: &Option<Uri>| url.as_ref().map(text);
                WireDialect {
                    name: name.clone(),
                    method: context.method.to_string(),
                    submission: self::text(&context.submission),
                    location: text(&announced.location),
                    content_location: text(&announced.content_location),
                    operation_location: text(&announced.operation_location),
                    azure_async_operation: text(&announced.azure_async_operation),
                }
            }),
        }
    }
}

impl TryFrom<Wire> for PendingJob {
    type Error = String;

    fn try_from(wire: Wire) -> Result<Self, String> {
        if wire.version != VERSION {
            return Err(format!("version {} of a pending job", wire.version));
        }
        let millis = Duration::from_millis;
        Ok(Self {
            url: url(&wire.url)?,
            origin: url(&wire.origin)?,
            method: if wire.head { Method::HEAD } else { Method::GET },
            polls: wire.polls,
            elapsed: millis(wire.elapsed_ms),
            retry_after: wire.retry_after_ms.map(millis),
            due: wire
                .due_ms
                .and_then(|due| UNIX_EPOCH.checked_add(millis(due))),
            state: wire.state,
            has_status: wire.job_status,
            is_cancellable: !wire.not_cancellable,
            crossed: wire.credentials_dropped,
            dialect: wire.dialect.map(context).transpose()?.map(Box::new),
        })
    }
}

fn context(wire: WireDialect) -> Result<(String, CallContext), String> {
    let read = |url: Option<String>| url.as_deref().map(self::url).transpose();
    let method = Method::from_bytes(wire.method.as_bytes())
        .map_err(|_| "a method that is none".to_owned())?;
    let context = CallContext {
        method,
        submission: url(&wire.submission)?,
        announced: Announced {
            location: read(wire.location)?,
            content_location: read(wire.content_location)?,
            operation_location: read(wire.operation_location)?,
            azure_async_operation: read(wire.azure_async_operation)?,
        },
    };
    Ok((wire.name, context))
}

/// Parses a URL that an answer could have led to: http or https, or path-only.
fn url(text: &str) -> Result<Uri, String> {
    let uri: Uri = text
        .parse()
        .map_err(|error| format!("a URL that is none: {error}"))?;
    match (uri.scheme_str(), uri.authority()) {
        (None, None) if text.starts_with('/') && !text.starts_with("//") => Ok(uri),
        (Some(scheme), Some(authority)) => {
            // The path may be longer than a `Location`, whose text was
            // escaped.
            let origin = format!("{scheme}://{authority}/");
            match resolve(&Uri::from_static("/"), origin) {
                Ok(_) => Ok(uri),
                Err(error) => Err(format!("a URL that cannot be polled: {error}")),
            }
        }
        _ => Err("a URL that cannot be polled".to_owned()),
    }
}

/// Returns the URL as text, without user information.
fn text(url: &Uri) -> String {
    let Some((_, host)) = url
        .authority()
        .and_then(|authority| authority.as_str().rsplit_once('@'))
    else {
        return url.to_string();
    };
    let mut parts: Parts = url.clone().into_parts();
    parts.authority = host.parse::<Authority>().ok();
    Uri::from_parts(parts).map_or_else(|_| String::new(), |url| url.to_string())
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn is_false(flag: &bool) -> bool {
    !flag
}

#[cfg(test)]
mod tests;
