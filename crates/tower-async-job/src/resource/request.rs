use std::time::Duration;

use http::{
    Method, Request, Response, Version,
    header::TE,
};
use http_polling::{Prefer, RequestHead};
use tower_async_job_core::{JobId, JobRecord, Principal};

use crate::{
    answer,
    body::StoredBody,
    config::{Config, PendingStatus},
    page,
    shared::Shared,
};

/// The part of a path below the base.
#[inline]
pub(crate) fn below<'p>(base: &str, path: &'p str) -> Option<&'p str> {
    path.strip_prefix(base)?.strip_prefix('/')
}

/// What matters of a request for the job resource.
#[derive(Debug)]
pub(crate) struct ResourceRequest {
    pub(super) method: Method,
    /// `None` if the path names no job that there could be.
    pub(super) target: Option<(JobId, Part)>,
    pub(super) hints: Hints,
    /// How long the client asks to be held.
    pub(super) wait: Option<Duration>,
    /// Whether it is to be shown a page while the job is pending.
    pub(super) page: bool,
    pub(super) principal: Option<Principal>,
    /// Whether the connection can carry trailers (RFC 9110, section 6.5.1).
    pub(super) trailers: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Job,
    Status,
}

impl ResourceRequest {
    /// `path` is the part below the base, without a leading slash.
    pub(crate) fn new<B>(config: &Config, request: &Request<B>, path: &str) -> Self {
        // Whatever else there is, an id has 32 characters and no slash.
        let (id, part) = match path.split_at_checked(JobId::LENGTH) {
            Some((id, "")) => (id, Some(Part::Job)),
            Some((id, "/status")) => (id, Some(Part::Status)),
            _ => ("", path.ends_with("/status").then_some(Part::Status)),
        };
        let headers = request.headers();
        // One pass over the names costs less than looking each of them up.
        let (mut prefer, mut te) = (false, false);
        for name in headers.keys() {
            match name.as_str() {
                "prefer" => prefer = true,
                "te" => te = true,
                _ => {}
            }
        }
        Self {
            method: request.method().clone(),
            target: part.and_then(|part| Some((JobId::parse(id)?, part))),
            hints: Hints::of(request.uri().query().unwrap_or_default()),
            wait: if prefer { Prefer::from_headers(headers).wait() } else { None },
            page: config.page && page::is_preferred(headers),
            principal: config.principal_of(RequestHead::of(request)),
            trailers: request.version() >= Version::HTTP_2 || te && carries_trailers(request),
        }
    }

    /// How long this poll of a pending job is to be held, if it is.
    pub(super) fn hold(&self, config: &Config, record: &JobRecord) -> Option<Duration> {
        if self.method != Method::GET {
            return None;
        }
        let hold = match self.wait {
            Some(wait) => wait,
            None => self.early(config, record)?,
        };
        Some(hold.min(config.max_hold)).filter(|hold| !hold.is_zero())
    }

    /// How long to hold a client that is early: it follows redirects without minding Retry-After.
    /// It has only so many redirects, so after the first it is held for as long as may be.
    fn early(&self, config: &Config, record: &JobRecord) -> Option<Duration> {
        if config.pending_status != PendingStatus::SeeOther || self.page {
            return None;
        }
        let due = self.hints.due?.checked_sub(record.age)?;
        if due.is_zero() {
            None
        } else if self.hints.polls > 1 {
            Some(config.max_hold)
        } else {
            Some(due)
        }
    }

    /// The answer while the job is pending.
    pub(super) fn pending(&self, shared: &Shared, record: &JobRecord) -> Response<StoredBody> {
        let pending = answer::pending(shared, record, self.hints.polls);
        if self.page {
            page::show(shared, record, pending)
        } else {
            pending
        }
    }

    pub(super) fn is_for_status(&self) -> bool {
        matches!(self.target, Some((_, Part::Status)))
    }
}

/// The hints in a pending Location. Whoever forges them is held once, or answered early.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Hints {
    /// How many answers this client has had.
    pub(super) polls: u32,
    /// When it is to ask again, from the acceptance.
    due: Option<Duration>,
}

impl Hints {
    /// Of a query as the layer writes it.
    fn as_written(query: &[u8]) -> Option<Self> {
        let (polls, rest) = number(query.strip_prefix(b"poll=")?)?;
        let (due, rest) = number(rest.strip_prefix(b"&due=")?)?;
        rest.is_empty().then_some(())?;
        Some(Self {
            polls: u32::try_from(polls).ok()?,
            due: Some(Duration::from_millis(due)),
        })
    }

    fn of(query: &str) -> Self {
        if let Some(hints) = Self::as_written(query.as_bytes()) {
            return hints;
        }
        let mut hints = Self::default();
        for (name, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
            match name {
                "poll" => hints.polls = value.parse().unwrap_or(0),
                "due" => hints.due = value.parse().ok().map(Duration::from_millis),
                _ => {}
            }
        }
        hints
    }
}

/// Reads a number, and gives what comes behind it.
fn number(text: &[u8]) -> Option<(u64, &[u8])> {
    let end = text.iter().position(|byte| !byte.is_ascii_digit());
    let (digits, rest) = text.split_at(end.unwrap_or(text.len()));
    if digits.is_empty() || digits.len() > 18 {
        return None;
    }
    let number = digits.iter().fold(0, |number, digit| number * 10 + u64::from(digit - b'0'));
    Some((number, rest))
}

/// Whether the answer to a request can carry trailers (RFC 9110, section 6.5.1).
pub(crate) fn carries_trailers<B>(request: &Request<B>) -> bool {
    let accepts = request
        .headers()
        .get_all(TE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|coding| coding.trim().eq_ignore_ascii_case("trailers"));
    accepts || request.version() >= Version::HTTP_2
}
