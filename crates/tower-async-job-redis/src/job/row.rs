//! The row of a job: a text of fields such as `f=1 st=0 ro=/report`, whose values are numbers unless
//! their comments say otherwise. In a route and a name, [`escape`] replaces spaces.
//!
//! The fields are in the order of `row.lua`, in rows of every format first that, `f`. So scripts of
//! common cases match the text by one pattern, and a row is one value for the server, which costs less
//! than a hash.

use std::{
    borrow::Cow,
    str::FromStr,
    sync::atomic::{AtomicU32, Ordering},
};

use http_polling::JobState;
use tower_async_job_core::{
    JobHandle, JobId, Lease, Owner, PendingStatus, Principal, Protocol, StoreError,
};

use crate::time::Micros;

static FORMAT: AtomicU32 = AtomicU32::new(1);

/// Returns the format of rows that this build writes, and the newest that it reads; also in `job.lua`.
pub(crate) fn newest_format() -> u32 {
    FORMAT.load(Ordering::Relaxed)
}

pub(crate) fn use_next_format() {
    FORMAT.store(2, Ordering::Relaxed);
}

/// A job, as its row has it. Scripts name the fields as in [`Row::read`].
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) id: JobId,
    pub(crate) handle: JobHandle,
    pub(crate) state: State,
    /// True if a worker has it until `due`.
    pub(crate) is_leased: bool,
    pub(crate) epoch: u64,
    pub(crate) attempt: u32,
    pub(crate) max_attempts: u32,
    pub(crate) reports: u64,
    /// The end of the lease or of the time of an outside party; the time from which it may be
    /// claimed, or its deadline; the end of the retention, of the tombstone, or of the void.
    pub(crate) due: Micros,
    pub(crate) deadline: Micros,
    pub(crate) created: Micros,
    pub(crate) started: Option<Micros>,
    pub(crate) ended: Option<Micros>,
    pub(crate) keep: Micros,
    pub(crate) tombstone: Micros,
    pub(crate) protocol: Protocol,
    pub(crate) pending_status: PendingStatus,
    pub(crate) route: String,
    /// The name, while it is kept.
    pub(crate) principal: Option<Principal>,
    pub(crate) owner: Option<Owner>,
    pub(crate) body_len: Option<u64>,
    pub(crate) chunks: Option<u32>,
    pub(crate) notify_due: Option<Micros>,
    pub(crate) notify_attempts: u32,
    pub(crate) notify_state: Option<State>,
}

/// The state of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Queued,
    Running,
    Done,
    Failed,
    TimedOut,
    Lost,
    Cancelled,
    /// Its result was dropped before its retention was over. Until then its key counts, or its
    /// notification may be claimed.
    Dropped,
    /// Past its retention; only its existence and its owner are known.
    Expired,
    /// No job: no create stores one with this id.
    Void,
}

impl State {
    const ALL: [Self; 10] = [
        Self::Queued,
        Self::Running,
        Self::Done,
        Self::Failed,
        Self::TimedOut,
        Self::Lost,
        Self::Cancelled,
        Self::Dropped,
        Self::Expired,
        Self::Void,
    ];

    fn of(number: usize) -> Option<Self> {
        Self::ALL.get(number).copied()
    }

    /// Returns the number of the state in which a job ends with this one.
    pub(crate) const fn number_of(state: JobState) -> u8 {
        match state {
            JobState::Done => Self::Done as u8,
            JobState::TimedOut => Self::TimedOut as u8,
            JobState::Lost => Self::Lost as u8,
            _ => Self::Failed as u8,
        }
    }

    /// Returns the state as clients see it, unless time has changed it; `None` if there is no job.
    pub(crate) const fn shown(self) -> Option<JobState> {
        Some(match self {
            Self::Queued => JobState::Queued,
            Self::Running => JobState::Running,
            Self::Done => JobState::Done,
            Self::Failed => JobState::Failed,
            Self::TimedOut => JobState::TimedOut,
            Self::Lost => JobState::Lost,
            Self::Cancelled => JobState::Cancelled,
            Self::Dropped | Self::Expired => JobState::Expired,
            Self::Void => return None,
        })
    }

    /// Returns the state as clients see it, by the number of it in a script's answer.
    pub(crate) fn shown_by_number(number: i64) -> Option<JobState> {
        Self::of(usize::try_from(number).ok()?)?.shown()
    }
}

/// The names and the values of the fields of a row, few enough to be searched one after another.
pub(crate) struct Fields<'a>(Vec<(&'a str, &'a str)>);

impl<'a> Fields<'a> {
    /// Reads the text of a row.
    pub(crate) fn read(row: &'a [u8]) -> Result<Self, StoreError> {
        let row = str::from_utf8(row).map_err(|_| malformed("f"))?;
        let fields = row.split(' ').filter_map(|field| field.split_once('='));
        Ok(Self(fields.collect()))
    }

    fn text(&self, name: &str) -> Option<&'a str> {
        let (_, value) = self.0.iter().find(|(field, _)| *field == name)?;
        Some(value)
    }

    fn optional<T: FromStr>(&self, name: &'static str) -> Result<Option<T>, StoreError> {
        let value = self.text(name).map(str::parse).transpose();
        value.map_err(|_| malformed(name))
    }

    fn required<T: FromStr>(&self, name: &'static str) -> Result<T, StoreError> {
        self.optional(name)?.ok_or_else(|| malformed(name))
    }
}

fn malformed(name: &str) -> StoreError {
    StoreError::corrupt(format!("the field `{name}` of its row is malformed"))
}

impl Row {
    /// Reads a row.
    pub(crate) fn read(id: JobId, row: &[u8]) -> Result<Self, StoreError> {
        let fields = Fields::read(row)?;
        let format: u32 = fields.required("f")?;
        if format > newest_format() {
            return Err(StoreError::unsupported_version(format));
        }
        let state = |number| State::of(number).ok_or_else(|| malformed("st"));
        let handle = fields.optional("h")?;
        let principal = fields.text("ow").map(|name| Principal::new(unescape(name)));
        Ok(Self {
            id,
            // A void has none.
            handle: handle.unwrap_or_else(|| JobHandle::from_bits(0)),
            state: state(fields.required("st")?)?,
            is_leased: fields.text("hl") == Some("1"),
            epoch: fields.required("ep")?,
            attempt: fields.required("at")?,
            max_attempts: fields.required("ma")?,
            reports: fields.required("rp")?,
            due: fields.required("du")?,
            deadline: fields.required("dl")?,
            created: fields.required("cr")?,
            started: fields.optional("sd")?,
            ended: fields.optional("en")?,
            keep: fields.required("kp")?,
            tombstone: fields.required("tm")?,
            protocol: match fields.text("pr") {
                Some("1") => Protocol::Grpc,
                _ => Protocol::Http,
            },
            pending_status: match fields.text("ps") {
                Some("1") => PendingStatus::Accepted,
                _ => PendingStatus::SeeOther,
            },
            route: unescape(fields.text("ro").unwrap_or_default()).into_owned(),
            owner: match (&principal, fields.text("od")) {
                (Some(principal), _) => Some(Owner::Named(principal.clone())),
                (None, Some(digest)) => Some(Owner::Digest(Box::new(unhex(digest)?))),
                (None, None) => None,
            },
            principal,
            body_len: fields.optional("bl")?,
            chunks: fields.optional("ch")?,
            notify_due: fields.optional("nd")?,
            notify_attempts: fields.optional("na")?.unwrap_or(0),
            notify_state: fields.optional("ns")?.map(state).transpose()?,
        })
    }

    pub(crate) fn lease(&self) -> Lease {
        Lease::new(self.id, self.epoch)
    }
}

/// Converts 64 hexadecimal digits.
pub(crate) fn unhex(digits: &str) -> Result<[u8; 32], StoreError> {
    let mut bytes = [0; 32];
    if digits.len() != 64 {
        return Err(malformed("od"));
    }
    for (byte, place) in bytes.iter_mut().zip((0..64).step_by(2)) {
        let digits = digits.get(place..place + 2);
        let value = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        *byte = value.ok_or_else(|| malformed("od"))?;
    }
    Ok(bytes)
}

/// Replaces the characters that separate fields.
pub(crate) fn escape(text: &str) -> Cow<'_, str> {
    match text.contains(['%', ' ']) {
        true => text.replace('%', "%25").replace(' ', "%20").into(),
        false => text.into(),
    }
}

/// Returns the text that was escaped.
pub(crate) fn unescape(text: &str) -> Cow<'_, str> {
    match text.contains('%') {
        true => text.replace("%20", " ").replace("%25", "%").into(),
        false => text.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escaped_texts_have_no_spaces_and_are_read_again() {
        for text in ["/report", "a b", "%", "%20", "100 % b=c", "  ", "ä\n"] {
            let escaped = escape(text);
            assert!(!escaped.contains(' '), "{escaped}");
            assert_eq!(unescape(&escaped), text);
        }
    }

    #[test]
    fn row_is_read_whatever_its_texts_contain() {
        let row = format!(
            "f=1 st=0 hl=0 ep=2 du=3 kp=4 oh= cr=5 dl=6 at=1 ma=3 rp=0 tm=7 h={} ro={} ow={}",
            JobHandle::from_bits(9),
            escape("GET /a b=c"),
            escape("one % two"),
        );
        let id = JobId::from_bits(1);
        let row = Row::read(id, row.as_bytes()).unwrap();
        assert_eq!(
            (row.epoch, row.due, row.handle),
            (2, 3, JobHandle::from_bits(9))
        );
        assert_eq!(row.route, "GET /a b=c");
        assert_eq!(row.principal, Some(Principal::new("one % two")));
        assert!(Row::read(id, b"f=1 st=0").unwrap_err().is_corrupt());
        let newer = Row::read(id, b"f=9 anything").unwrap_err();
        assert!(newer.is_unsupported_version());
    }
}
