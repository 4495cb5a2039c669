//! The headers that polls carry.

use std::{fmt, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, header::COOKIE};

use super::names::{
    ACCEPT_AT, AUTHORIZATION_AT, COOKIE_AT, GRPC_TIMEOUT_AT, NAMED, TE_AT, is_credential, name_of,
};

/// The beginning of a record: from the top, the index of the name in 16 bits,
/// whether the value is sensitive in one, and the length of the value.
#[derive(Clone, Copy)]
pub(super) struct Head(u64);

const INDEX_AT: u32 = 48;
const SENSITIVE: u64 = 1 << 47;

impl Head {
    #[inline]
    pub(super) fn new(index: u16, value: &HeaderValue) -> Self {
        let sensitive = if value.is_sensitive() { SENSITIVE } else { 0 };
        // No header has 128 TiB.
        Self(u64::from(index) << INDEX_AT | sensitive | value.len() as u64)
    }

    /// Returns the same with a greater length.
    pub(super) fn with_more(self, length: usize) -> Self {
        Self(self.0 + length as u64)
    }

    #[inline]
    pub(super) fn to_bytes(self) -> [u8; 8] {
        self.0.to_le_bytes()
    }

    fn from_bytes(bytes: [u8; 8]) -> Self {
        Self(u64::from_le_bytes(bytes))
    }

    fn index(self) -> u16 {
        (self.0 >> INDEX_AT) as u16
    }

    fn length(self) -> usize {
        (self.0 & (SENSITIVE - 1)) as usize
    }

    fn is_sensitive(self) -> bool {
        self.0 & SENSITIVE != 0
    }
}

/// The headers of a submission that its polls carry too.
pub(crate) struct KeptHeaders {
    records: Bytes,
}

impl KeptHeaders {
    pub(super) fn new(records: Bytes) -> Self {
        Self { records }
    }

    /// Drops the headers for the submission's origin only.
    pub(crate) fn drop_credentials(&mut self, own: &[HeaderName]) {
        let mut rest = Vec::new();
        for (head, value) in self.iter() {
            let index = head.index();
            if !head.is_sensitive() && !is_credential(index, name_of(index, own)) {
                rest.extend_from_slice(&head.to_bytes());
                rest.extend_from_slice(value);
            }
        }
        self.records = rest.into();
    }

    /// Replaces the submission's `Authorization`.
    pub(crate) fn set_authorization(&mut self, value: &HeaderValue) {
        let mut records = Vec::with_capacity(self.records.len() + value.len() + 8);
        for (head, kept) in self.iter() {
            if head.index() != AUTHORIZATION_AT {
                records.extend_from_slice(&head.to_bytes());
                records.extend_from_slice(kept);
            }
        }
        records.extend_from_slice(&Head::new(AUTHORIZATION_AT, value).to_bytes());
        records.extend_from_slice(value.as_bytes());
        self.records = records.into();
    }

    /// The values of the submission's own `Cookie` headers.
    pub(crate) fn cookies(&self) -> impl Iterator<Item = &[u8]> {
        self.iter()
            .filter(|(head, _)| head.index() == COOKIE_AT)
            .map(|(_, value)| value)
    }

    /// The submission's `Accept`, as one list.
    pub(crate) fn accept(&self) -> Option<String> {
        let values = self.iter().filter(|(head, _)| head.index() == ACCEPT_AT);
        values
            .map(|(_, value)| String::from_utf8_lossy(value).into_owned())
            .reduce(|list, value| format!("{list},{value}"))
    }

    /// The time limit of a gRPC caller.
    pub(crate) fn grpc_timeout(&self) -> Option<Duration> {
        self.iter()
            .find(|(head, _)| head.index() == GRPC_TIMEOUT_AT)
            .and_then(|(_, value)| http_polling::grpc_timeout(value))
    }

    /// Puts the headers of a poll into an empty `map`. `cookies`, if given,
    /// replaces the submission's own.
    pub(crate) fn fill(
        &self,
        map: &mut HeaderMap,
        own: &[HeaderName],
        cookies: Option<HeaderValue>,
    ) {
        for (head, value) in self.iter() {
            let index = head.index();
            if index == GRPC_TIMEOUT_AT || (index == COOKIE_AT && cookies.is_some()) {
                continue;
            }
            let (name, value) = match index {
                NAMED => match split_name(value) {
                    Some(both) => both,
                    None => continue,
                },
                _ => (name_of(index, own).clone(), value),
            };
            // The text is that of a value, and makes one.
            if let Ok(mut value) = HeaderValue::from_maybe_shared(self.records.slice_ref(value)) {
                value.set_sensitive(head.is_sensitive());
                map.append(name, value);
            }
        }
        if let Some(cookies) = cookies
            && !cookies.is_empty()
        {
            map.insert(COOKIE, cookies);
        }
    }

    /// Returns whether the call is one of gRPC, which asks for trailers.
    pub(crate) fn is_grpc(&self) -> bool {
        is_grpc(&self.records)
    }

    fn iter(&self) -> impl Iterator<Item = (Head, &[u8])> {
        records(&self.records)
    }
}

/// The heads and values of records.
fn records(mut rest: &[u8]) -> impl Iterator<Item = (Head, &[u8])> {
    std::iter::from_fn(move || {
        let (head, after) = rest.split_first_chunk()?;
        let head = Head::from_bytes(*head);
        let (value, after) = after.split_at_checked(head.length())?;
        rest = after;
        Some((head, value))
    })
}

/// Returns the same as [`KeptHeaders::is_grpc`], for records.
pub(super) fn is_grpc(text: &[u8]) -> bool {
    records(text).any(|(head, value)| {
        head.index() == TE_AT && value.trim_ascii().eq_ignore_ascii_case(b"trailers")
    })
}

/// Splits a record of the index [`NAMED`] into name and value.
fn split_name(text: &[u8]) -> Option<(HeaderName, &[u8])> {
    let (length, text) = text.split_first_chunk()?;
    let (name, value) = text.split_at_checked(u16::from_le_bytes(*length).into())?;
    Some((HeaderName::from_bytes(name).ok()?, value))
}

impl fmt::Debug for KeptHeaders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeptHeaders").finish_non_exhaustive()
    }
}
