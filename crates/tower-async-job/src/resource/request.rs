use std::time::Duration;

use http::{HeaderMap, Method, Request, Version};
use http_polling::{Prefer, RequestHead};
use tower_async_job_core::{JobId, JobRecord, PendingStatus, Principal};

use crate::{
    config::Config,
    node::front::Front,
    panics::Panicked,
    request::{
        accept, closing, conditions::Conditions, glance::Glance, trailers::carries_trailers,
    },
};

/// Returns the part of a path below the base.
#[inline]
pub(crate) fn below<'p>(base: &str, path: &'p str) -> Option<&'p str> {
    path.strip_prefix(base)?.strip_prefix('/')
}

/// Returns the part of a path below the mount point: the whole path begins with the base or the
/// public one, and a router that strips its prefix leaves the rest.
pub(super) fn mounted<'p>(config: &Config, path: &'p str) -> &'p str {
    below(&config.base, path)
        .or_else(|| below(public_path(config), path))
        .or_else(|| path.strip_prefix('/'))
        .unwrap_or(path)
}

/// Returns the path of the public base.
pub(super) fn public_path(config: &Config) -> &str {
    let public = config.public_base.as_ref();
    public.split_once("://").map_or(public, |(_, rest)| {
        rest.find('/').map_or("", |begin| &rest[begin..])
    })
}

/// The parts of a request that the job resource needs.
#[derive(Debug)]
pub(crate) struct ResourceRequest {
    pub(super) method: Method,
    /// `None` if the path is that of no possible job.
    pub(super) target: Option<(JobId, Part)>,
    pub(super) hints: Hints,
    /// The time for which the client asks to be held.
    pub(super) wait: Option<Duration>,
    /// The client gets a page while the job is pending.
    pub(super) page: bool,
    may_close: bool,
    pub(super) principal: Option<Principal>,
    /// The connection can carry trailers (RFC 9110, section 6.5.1).
    trailers: bool,
    /// The headers, if one of them is a precondition or a range.
    conditional: Option<Box<HeaderMap>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Job,
    Status,
    Events(Listener),
}

/// A client of events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Listener {
    /// The version of the job that it knows (WHATWG HTML, section 9.2.4).
    pub(super) last: Option<u64>,
    /// An answer to it may be of unknown length, and is not cut off unnoticed.
    pub(super) is_streamable: bool,
}

impl Listener {
    fn of<B>(request: &Request<B>) -> Self {
        let last = request.headers().get("last-event-id");
        Self {
            last: last.and_then(|last| number(last.as_bytes())),
            is_streamable: request.version() > Version::HTTP_10,
        }
    }
}

impl ResourceRequest {
    /// Reads a request. `path` is the part below the base, without a leading slash.
    pub(crate) fn new<B>(
        config: &Config,
        request: &Request<B>,
        path: &str,
    ) -> Result<Self, Panicked> {
        let (id, part) = path.split_at_checked(JobId::LENGTH).unwrap_or_default();
        let part = match part {
            "" => Some(Part::Job),
            "/status" => Some(Part::Status),
            "/events" if config.events => Some(Part::Events(Listener::of(request))),
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
            // Too long a principal has no jobs.
            principal: config
                .principal_of(RequestHead::of(request))?
                .filter(|principal| !config.is_too_long(principal)),
            trailers: carries_trailers(request, glance),
            conditional: glance.conditional.then(|| Conditions::among(headers)),
        })
    }

    /// Returns whether the client may see the job. If not, the job is unknown to it.
    pub(super) fn may_see(&self, record: &JobRecord) -> bool {
        record.is_visible_to(self.principal.as_ref())
    }

    /// Returns whether this poll may be held, depending on the job.
    pub(super) fn may_be_held(&self, front: &Front) -> bool {
        let may_be_early = || self.hints.due.is_some() || front.node.shutdown.begun.is_set();
        self.method == Method::GET
            && match self.wait {
                Some(wait) => !wait.is_zero(),
                None => !self.page && may_be_early(),
            }
    }

    /// Returns the time for which to hold this poll of a pending job, if it is held.
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

    /// Returns the time for which to hold a client that is early: it follows redirects and ignores
    /// Retry-After. Its number of redirects is limited, so after the first one it is held for the
    /// maximum, and from the first one if the node shuts down.
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

    /// Returns the time by which the poll is early, if it is.
    fn due_in(&self, record: &JobRecord) -> Option<Duration> {
        let due = self.hints.due?.checked_sub(record.age)?;
        (!due.is_zero()).then_some(due)
    }

    /// Returns the parts of the request that the answer depends on. The record is `None` if the job
    /// is not pending or the poll is held.
    #[inline(always)]
    pub(super) fn asked(&self, record: Option<&JobRecord>) -> Asked {
        // A client that is held, asks to be held, or is early polls again at once.
        let is_waiting = self.wait.is_none() && !self.page;
        let waits = |record| is_waiting && self.due_in(record).is_none();
        Asked {
            polls: self.hints.polls,
            page: self.page,
            trailers: self.trailers,
            may_close: self.may_close && record.is_some_and(waits),
            delivers: self.method == Method::GET,
        }
    }

    /// Returns the conditions under which an ended job is read or dropped. A client that reads early
    /// has followed a redirect, with the preconditions of its submission, which are not meant for the
    /// result.
    #[inline]
    pub(super) fn conditions(&self, record: &JobRecord) -> Option<Conditions<'_>> {
        let headers = self.conditional.as_deref()?;
        Some(Conditions {
            headers,
            ranges: self.method == Method::GET,
            preconditions: self.method == Method::DELETE || self.due_in(record).is_none(),
        })
    }

    /// Returns whether the request has a precondition or a range.
    pub(super) fn is_conditional(&self) -> bool {
        self.conditional.is_some()
    }

    /// Returns the part of the job that the request is for, which also decides if there is no job.
    pub(super) fn part(&self) -> Part {
        self.target.map_or(Part::Job, |(_, part)| part)
    }
}

/// The part of a request that the answer to a poll depends on. Small, since every held poll keeps
/// one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked {
    /// The number of answers that this client has had.
    pub(super) polls: u32,
    /// The client gets a page while the job is pending.
    pub(super) page: bool,
    pub(super) trailers: bool,
    pub(super) may_close: bool,
    /// The answer may deliver a result, unlike an answer to HEAD.
    pub(super) delivers: bool,
}

/// The hints in a pending Location. A client that forges them is held once, or answered early.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Hints {
    /// The number of answers that this client has had.
    pub(super) polls: u32,
    /// The due time of its next poll, since the acceptance.
    due: Option<Duration>,
}

impl Hints {
    fn of(query: &str) -> Self {
        let query = query.as_bytes();
        Self::written(query).unwrap_or_else(|| Self::among(query))
    }

    /// Parses a query in the form that the layer writes, which is usual.
    fn written(query: &[u8]) -> Option<Self> {
        let query = query.strip_prefix(b"poll=")?;
        let (polls, due) = query.split_at(query.iter().position(|byte| *byte == b'&')?);
        Some(Self {
            polls: u32::try_from(number(polls)?).ok()?,
            due: Some(Duration::from_millis(number(due.strip_prefix(b"&due=")?)?)),
        })
    }

    /// Parses a query with other pairs or in another order.
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
    // This number of digits always fits.
    if !(1..=19).contains(&digits.len()) {
        return None;
    }
    digits.iter().try_fold(0, |number, digit| {
        let digit = digit.wrapping_sub(b'0');
        (digit < 10).then(|| number * 10 + u64::from(digit))
    })
}
