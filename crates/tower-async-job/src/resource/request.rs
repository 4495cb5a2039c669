use std::time::Duration;

use http::{Method, Request};
use http_polling::{Prefer, RequestHead};
use tower_async_job_core::{JobId, JobRecord, PendingStatus, Principal};

use crate::{
    config::Config,
    node::front::Front,
    panics::Panicked,
    request::{accept, closing, glance::Glance, trailers::carries_trailers},
};

/// The part of a path below the base.
#[inline]
pub(crate) fn below<'p>(base: &str, path: &'p str) -> Option<&'p str> {
    path.strip_prefix(base)?.strip_prefix('/')
}

/// The part of a path below the place where the resource is mounted: the whole path begins with the base
/// or with the public one, and a router that strips its prefix leaves the rest.
pub(super) fn mounted<'p>(config: &Config, path: &'p str) -> &'p str {
    let public = config.public_base.as_ref();
    let public = public.split_once("://").map_or(public, |(_, rest)| {
        rest.find('/').map_or("", |begin| &rest[begin..])
    });
    below(&config.base, path)
        .or_else(|| below(public, path))
        .or_else(|| path.strip_prefix('/'))
        .unwrap_or(path)
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
    may_close: bool,
    pub(super) principal: Option<Principal>,
    /// Whether the connection can carry trailers (RFC 9110, section 6.5.1).
    trailers: bool,
    /// It asks for a part of the result, which is answered with all of it.
    is_for_part: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Job,
    Status,
}

impl ResourceRequest {
    /// `path` is the part below the base, without a leading slash.
    pub(crate) fn new<B>(
        config: &Config,
        request: &Request<B>,
        path: &str,
    ) -> Result<Self, Panicked> {
        let (id, part) = path.split_at_checked(JobId::LENGTH).unwrap_or_default();
        let part = match part {
            "" => Some(Part::Job),
            "/status" => Some(Part::Status),
            _ => None,
        };
        let headers = request.headers();
        let glance = Glance::at(headers);
        let wait = glance.prefer.then(|| Prefer::from_headers(headers).wait());
        Ok(Self {
            method: request.method().clone(),
            target: part.and_then(|part| Some((id.parse().ok()?, part))),
            hints: Hints::of(request.uri().query().unwrap_or_default()),
            wait: wait.flatten(),
            page: config.page && accept::wants_page(headers),
            may_close: closing::may_close(request.version(), glance.proxied),
            // One that is too long has no jobs.
            principal: config
                .principal_of(RequestHead::of(request))?
                .filter(|principal| !config.is_too_long(principal)),
            trailers: carries_trailers(request, glance),
            is_for_part: glance.range,
        })
    }

    /// Returns whether the client may see the job. If not, it is as if there was none.
    pub(super) fn may_see(&self, record: &JobRecord) -> bool {
        record.is_visible_to(self.principal.as_ref())
    }

    /// How long this poll of a pending job is to be held, if it is.
    pub(super) fn hold(&self, front: &Front, record: &JobRecord) -> Option<Duration> {
        if self.method != Method::GET {
            return None;
        }
        let hold = match self.wait {
            Some(wait) => wait,
            None => self
                .early(front, record)
                .or_else(|| front.node.shutdown.last_moment().filter(|_| !self.page))?,
        };
        Some(hold.min(front.config.max_hold)).filter(|hold| !hold.is_zero())
    }

    /// How long to hold a client that is early: it follows redirects without minding Retry-After.
    /// It has only so many redirects, so after the first it is held for as long as may be, and where
    /// the node shuts down from the first.
    fn early(&self, front: &Front, record: &JobRecord) -> Option<Duration> {
        let config = &front.config;
        if record.pending_status != PendingStatus::SeeOther || self.page {
            return None;
        }
        let due = self.due_in(record)?;
        Some(
            if self.hints.polls > 1 || front.node.shutdown.begun.is_set() {
                config.max_hold
            } else {
                due
            },
        )
    }

    /// Returns by how much the poll comes before its due time, if it does.
    fn due_in(&self, record: &JobRecord) -> Option<Duration> {
        let due = self.hints.due?.checked_sub(record.age)?;
        (!due.is_zero()).then_some(due)
    }

    /// Returns what the answer depends on. The record is `None` if the job is not pending, or the
    /// poll is held.
    #[inline(always)]
    pub(super) fn asked(&self, record: Option<&JobRecord>) -> Asked {
        // A client that is held, asks to be, or comes early comes back at once.
        let is_waiting = self.wait.is_none() && !self.page;
        let waits = |record| is_waiting && self.due_in(record).is_none();
        Asked {
            polls: self.hints.polls,
            page: self.page,
            trailers: self.trailers,
            may_close: self.may_close && record.is_some_and(waits),
            delivers: self.method == Method::GET && !self.is_for_part,
        }
    }

    pub(super) fn is_for_status(&self) -> bool {
        matches!(self.target, Some((_, Part::Status)))
    }
}

/// The part of a request that the answer to a poll depends on. Small, since every held poll keeps one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked {
    /// The number of answers that this client has had.
    pub(super) polls: u32,
    /// The client is shown a page while the job is pending.
    pub(super) page: bool,
    /// The connection can carry trailers.
    pub(super) trailers: bool,
    /// The connection may be closed after the answer.
    pub(super) may_close: bool,
    /// The answer takes a whole result to the client, as those to HEAD and for a part do not.
    pub(super) delivers: bool,
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
    fn of(query: &str) -> Self {
        let query = query.as_bytes();
        Self::written(query).unwrap_or_else(|| Self::among(query))
    }

    /// Reads a query in the form in which the layer writes it, which is nearly every one.
    fn written(query: &[u8]) -> Option<Self> {
        let query = query.strip_prefix(b"poll=")?;
        let (polls, due) = query.split_at(query.iter().position(|byte| *byte == b'&')?);
        Some(Self {
            polls: u32::try_from(number(polls)?).ok()?,
            due: Some(Duration::from_millis(number(due.strip_prefix(b"&due=")?)?)),
        })
    }

    /// Reads a query with other pairs or in another order.
    fn among(query: &[u8]) -> Self {
        let mut hints = Self::default();
        for pair in query.split(|byte| *byte == b'&') {
            if let Some(polls) = pair.strip_prefix(b"poll=") {
                let polls = number(polls).and_then(|polls| u32::try_from(polls).ok());
                hints.polls = polls.unwrap_or(0);
            } else if let Some(due) = pair.strip_prefix(b"due=") {
                hints.due = number(due).map(Duration::from_millis);
            }
        }
        hints
    }
}

fn number(digits: &[u8]) -> Option<u64> {
    // So many digits fit for certain.
    if !(1..=19).contains(&digits.len()) {
        return None;
    }
    digits.iter().try_fold(0, |number, digit| {
        let digit = digit.wrapping_sub(b'0');
        (digit < 10).then(|| number * 10 + u64::from(digit))
    })
}
