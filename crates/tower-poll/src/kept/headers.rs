//! The headers that polls carry.

use std::{fmt, time::Duration};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{AUTHORIZATION, COOKIE, HOST, PROXY_AUTHORIZATION},
};

use super::names::{COOKIE_AT, GRPC_TIMEOUT_AT, name_of};
use crate::grpc_timeout;

/// The beginning of a record: the index of the name in two bytes, and in four
/// the length of the value, whose top bit says that the value is sensitive.
#[derive(Clone, Copy)]
pub(super) struct Head(pub(super) [u8; 6]);

const SENSITIVE: u32 = 1 << 31;

impl Head {
    #[inline]
    pub(super) fn new(index: u16, value: &HeaderValue) -> Self {
        // Nobody has a header of 2 GiB.
        let length = value.len() as u32 & !SENSITIVE;
        let length = length | if value.is_sensitive() { SENSITIVE } else { 0 };
        let [a, b] = index.to_le_bytes();
        let [c, d, e, f] = length.to_le_bytes();
        Self([a, b, c, d, e, f])
    }

    fn index(self) -> u16 {
        let [a, b, ..] = self.0;
        u16::from_le_bytes([a, b])
    }

    fn length(self) -> usize {
        (self.bits() & !SENSITIVE) as usize
    }

    fn is_sensitive(self) -> bool {
        self.bits() & SENSITIVE != 0
    }

    fn bits(self) -> u32 {
        let [_, _, c, d, e, f] = self.0;
        u32::from_le_bytes([c, d, e, f])
    }
}

/// The headers of a submission that its polls carry too.
#[derive(Clone, Default)]
pub(crate) struct KeptHeaders {
    records: Bytes,
}

impl KeptHeaders {
    pub(super) fn new(records: Bytes) -> Self {
        Self { records }
    }

    /// Drops, for good, what only the submission's origin may see.
    pub(crate) fn drop_credentials(&mut self, own: &[HeaderName]) {
        let mut rest = Vec::new();
        for (head, value) in self.iter() {
            let name = name_of(head.index(), own);
            let is_credential = head.is_sensitive()
                || [AUTHORIZATION, PROXY_AUTHORIZATION, COOKIE, HOST].contains(name);
            if !is_credential {
                rest.extend_from_slice(&head.0);
                rest.extend_from_slice(value);
            }
        }
        self.records = rest.into();
    }

    /// The values of the submission's own `Cookie` headers.
    pub(crate) fn cookies(&self) -> impl Iterator<Item = &[u8]> {
        self.iter()
            .filter(|(head, _)| head.index() == COOKIE_AT)
            .map(|(_, value)| value)
    }

    /// The deadline that a gRPC caller gave.
    pub(crate) fn grpc_timeout(&self) -> Option<Duration> {
        self.iter()
            .find(|(head, _)| head.index() == GRPC_TIMEOUT_AT)
            .and_then(|(_, value)| grpc_timeout::parse(value))
    }

    /// Puts the headers of a poll into an empty `map`. `cookies`, where
    /// given, stands in place of the submission's own.
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
            // The text is that of a value, and makes one.
            if let Ok(mut value) = HeaderValue::from_maybe_shared(self.records.slice_ref(value)) {
                value.set_sensitive(head.is_sensitive());
                map.append(name_of(index, own), value);
            }
        }
        if let Some(cookies) = cookies
            && !cookies.is_empty()
        {
            map.insert(COOKIE, cookies);
        }
    }

    fn iter(&self) -> impl Iterator<Item = (Head, &[u8])> {
        let mut rest = &self.records[..];
        std::iter::from_fn(move || {
            let (head, after) = rest.split_first_chunk()?;
            let head = Head(*head);
            let (value, after) = after.split_at_checked(head.length())?;
            rest = after;
            Some((head, value))
        })
    }
}

impl fmt::Debug for KeptHeaders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeptHeaders").finish_non_exhaustive()
    }
}
