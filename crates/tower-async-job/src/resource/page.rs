//! The page that a browser shows for a pending job.
//!
//! Browsers follow a 303 at once and ignore Retry-After (RFC 9110, section 10.2.3), so a form
//! posted to a slow route would end in a redirect loop. A browser that navigates gets a page
//! instead: 200 with `Refresh`, which reloads the job's URL until the response is ready. With
//! scripts enabled, it polls the status document and updates itself in place.
//!
//! The page is self-contained, with a Content-Security-Policy that allows only its own style and
//! script, by their hashes. Every value is escaped when it is filled in.

use std::{borrow::Cow, time::Duration};

use http::{
    HeaderMap, HeaderName, HeaderValue, Response, StatusCode,
    header::{
        CONTENT_LOCATION, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, REFRESH,
        RETRY_AFTER, X_CONTENT_TYPE_OPTIONS,
    },
};
use http_polling::{JobState, Progress, RETRY_AFTER_MS};
use tower_async_job_core::JobRecord;

use crate::{answer, body::StoredBody, node::front::Front};

const TEMPLATE: &str = include_str!("page/page.html");
const STYLE: &str = include_str!("page/page.css");
const SCRIPT: &str = include_str!("page/page.js");

/// The policy. Its hashes are those of the contents of the page's `style` and `script` elements
/// (CSP level 3, section 2.3.1). `connect-src` permits polling and cancelling, and `img-src` the
/// site's icon, which browsers request by themselves.
const POLICY: &str = "default-src 'none'; \
    script-src 'sha256-VoXDuU2KPCQKe4vqotSnecCelldnBSo2CbqHGbPQcRk='; \
    style-src 'sha256-LyVHWbO35euQwO0Zq5+e/2Dr7jIGFCi+awMyM4fOAUU='; \
    connect-src 'self'; img-src 'self'; \
    base-uri 'none'; form-action 'none'; frame-ancestors 'self'";

const QUEUED: &str = "Waiting to start";
const RUNNING: &str = "Working on it";

/// Returns the page instead of a pending answer, with its headers for clients that poll by
/// themselves. It reloads when the job is due.
pub(crate) fn show(
    front: &Front,
    record: &JobRecord,
    pending: Response<StoredBody>,
) -> Response<StoredBody> {
    let (mut parts, _) = pending.into_parts();
    let estimator = &front.node.config.estimator;
    let observed = answer::known(front, record);
    // The run of a silent node has probably ended with it.
    let left = match observed.until_takeover() {
        Some(_) => None,
        None => left(record).or_else(|| estimator.remaining(&observed)),
    };
    let page = View::new(record, left, delay(&parts.headers)).fill();
    let headers = &mut parts.headers;
    parts.status = StatusCode::OK;
    headers.remove(CONTENT_LOCATION);
    refresh(headers);
    for (name, value) in HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    Response::from_parts(parts, StoredBody::from(page.into_bytes()))
}

/// Makes browsers reload when other clients poll.
pub(crate) fn refresh(headers: &mut HeaderMap) {
    if let Some(seconds) = headers.get(RETRY_AFTER).cloned() {
        headers.insert(REFRESH, seconds);
    }
}

/// The headers of the page. The Referrer-Policy hides the job's URL, which suffices to read the
/// result, from sites that the visitor goes to next.
const HEADERS: [(HeaderName, &str); 4] = [
    (CONTENT_TYPE, "text/html; charset=utf-8"),
    (CONTENT_SECURITY_POLICY, POLICY),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (REFERRER_POLICY, "no-referrer"),
];

/// Returns the time until the job is due, from the pending answer.
fn delay(headers: &HeaderMap) -> Duration {
    headers
        .get(RETRY_AFTER_MS)
        .and_then(|value| value.to_str().ok()?.parse().ok())
        .map_or(Duration::from_secs(1), Duration::from_millis)
}

/// The values that the page shows.
struct View<'a> {
    heading: &'static str,
    message: &'a str,
    /// From 0 to 1.
    ratio: Option<f64>,
    age: Duration,
    attempt: u32,
    left: Option<Duration>,
    delay: Duration,
}

impl<'a> View<'a> {
    fn new(record: &'a JobRecord, left: Option<Duration>, delay: Duration) -> Self {
        let progress = record.progress.as_ref();
        Self {
            heading: match record.state {
                JobState::Queued => QUEUED,
                _ => RUNNING,
            },
            message: progress
                .and_then(|progress| progress.message.as_deref())
                .unwrap_or_default(),
            ratio: progress.and_then(Progress::ratio),
            age: record.age,
            attempt: record.attempt,
            left,
            delay,
        }
    }

    /// Fills the template in. Every value from outside of this module is escaped, for text and for
    /// quoted attributes alike.
    fn fill(&self) -> String {
        let length = TEMPLATE.len() + STYLE.len() + SCRIPT.len() + self.message.len() + 512;
        let mut page = String::with_capacity(length);
        let mut rest = TEMPLATE;
        while let Some((text, placeholder)) = rest.split_once("{{") {
            let (name, tail) = placeholder
                .split_once("}}")
                .expect("each placeholder is closed");
            page.push_str(text);
            match name {
                "style" => page.push_str(STYLE),
                "script" => page.push_str(SCRIPT),
                name => {
                    html_escape::encode_quoted_attribute_to_string(self.value(name), &mut page);
                }
            }
            rest = tail;
        }
        page.push_str(rest);
        page
    }

    fn value(&self, name: &str) -> Cow<'a, str> {
        match name {
            "title" => match self.ratio {
                Some(ratio) => {
                    format!("{:.0} % · {}", (ratio * 100.0).floor(), self.heading).into()
                }
                None => self.heading.into(),
            },
            "heading" => self.heading.into(),
            "queued" => QUEUED.into(),
            "running" => RUNNING.into(),
            "message" => self.message.into(),
            // The name of the bar's attribute; a bar without a value is animated.
            "known" if self.ratio.is_some() => "value".into(),
            "known" => "data-value".into(),
            "value" => self
                .ratio
                .map(|ratio| ratio.to_string())
                .unwrap_or_default()
                .into(),
            "elapsed" => spoken(self.age).into(),
            "remaining" => match self.left {
                Some(left) => format!("about {}", spoken(left)).into(),
                None => "not known".into(),
            },
            "age" => milliseconds(self.age).into(),
            "left" => self.left.map(milliseconds).unwrap_or_default().into(),
            "delay" => milliseconds(self.delay).into(),
            "attempt" => self.attempt.to_string().into(),
            _ => unreachable!("the template has a placeholder {name}"),
        }
    }
}

/// Returns the time left at the pace so far.
fn left(record: &JobRecord) -> Option<Duration> {
    let ratio = record
        .progress
        .as_ref()?
        .ratio()
        .filter(|ratio| *ratio > 0.0)?;
    let so_far = record.running_for?.as_secs_f64();
    Duration::try_from_secs_f64(so_far * (1.0 - ratio) / ratio).ok()
}

fn milliseconds(time: Duration) -> String {
    time.as_millis().to_string()
}

/// Returns the time in words, truncated to two units.
fn spoken(time: Duration) -> String {
    let seconds = time.as_secs();
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, seconds) => format!("{seconds} s"),
        (0, minutes, seconds) => format!("{minutes} min {seconds} s"),
        (hours, minutes, _) => format!("{hours} h {minutes} min"),
    }
}

#[cfg(test)]
mod tests;
