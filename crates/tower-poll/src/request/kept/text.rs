//! A submission's URI and headers as text.

use std::fmt;

use bytes::{Buf, Bytes};
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Uri,
    uri::{Authority, Parts, PathAndQuery, Scheme},
};

use super::{
    headers::{Head, KeptHeaders, is_grpc},
    names::{NAMED, index_of, is_of_one_message},
};

/// The size of the text that is kept without an allocation.
const INLINE: usize = 128;

/// The texts: the name of a custom method and the parts of a URI, then a record
/// for each header, in the order of the submission. A record is a [`Head`] and
/// a value.
pub(crate) struct KeptText {
    inline: [u8; INLINE],
    used: usize,
    /// All of it, once `inline` is too small.
    spilled: Vec<u8>,
    /// The lengths of method, scheme, authority and path. No URI is longer than
    /// 64 KiB, and no method has 4 GiB.
    parts: [u32; 4],
}

impl KeptText {
    #[inline]
    pub(crate) fn new() -> Self {
        Self {
            inline: [0; INLINE],
            used: 0,
            spilled: Vec::new(),
            parts: [0; 4],
        }
    }

    /// Keeps the name of a custom method. Called first, if at all.
    #[cold]
    pub(crate) fn put_method(&mut self, method: &Method) {
        self.parts[0] = self.push([], method.as_str().as_bytes());
    }

    /// Keeps the URI. Called once, before headers are offered.
    #[inline]
    pub(crate) fn put_uri(&mut self, uri: &Uri) {
        if let Some(scheme) = uri.scheme_str() {
            self.parts[1] = self.push([], scheme.as_bytes());
        }
        if let Some(authority) = uri.authority() {
            self.parts[2] = self.push([], authority.as_str().as_bytes());
        }
        if let Some(path) = uri.path_and_query() {
            self.parts[3] = self.push([], path.as_str().as_bytes());
        }
    }

    /// Keeps the headers whose name is on the list, or among the user's `own`.
    // Separate, so that a submission without headers skips it cheaply.
    #[inline(never)]
    pub(crate) fn put_headers(&mut self, headers: &HeaderMap, own: &[HeaderName]) {
        for (name, value) in headers {
            self.offer(name, value, own);
        }
    }

    /// Keeps `value` if its name is on the list, or among the user's `own`, or
    /// if it is sensitive, which makes it a credential.
    #[inline]
    pub(crate) fn offer(&mut self, name: &HeaderName, value: &HeaderValue, own: &[HeaderName]) {
        if let Some(index) = index_of(name, own) {
            self.push(Head::new(index, value).to_bytes(), value.as_bytes());
        } else if value.is_sensitive() {
            self.offer_secret(name, value);
        }
    }

    #[cold]
    fn offer_secret(&mut self, name: &HeaderName, value: &HeaderValue) {
        let text = name.as_str().as_bytes();
        if let Ok(length) = u16::try_from(text.len())
            && !is_of_one_message(name)
        {
            let length = length.to_le_bytes();
            let head = Head::new(NAMED, value).with_more(length.len() + text.len());
            self.push(head.to_bytes(), &length);
            self.push([], text);
            self.push([], value.as_bytes());
        }
    }

    /// Appends both, and returns the length of `value`.
    #[inline]
    fn push<const N: usize>(&mut self, head: [u8; N], value: &[u8]) -> u32 {
        let end = self.used + N + value.len();
        match self.inline.get_mut(self.used..end) {
            Some(room) => {
                let (room_for_head, room) = room.split_at_mut(N);
                room_for_head.copy_from_slice(&head);
                room.copy_from_slice(value);
            }
            None => self.spill(&head, value),
        }
        self.used = end;
        value.len() as u32
    }

    #[cold]
    fn spill(&mut self, head: &[u8], value: &[u8]) {
        let all = &mut self.spilled;
        if all.is_empty() {
            all.reserve(4 * INLINE.max(value.len()));
            all.extend_from_slice(&self.inline[..self.used]);
        }
        all.extend_from_slice(head);
        all.extend_from_slice(value);
    }

    /// Returns whether the call is one of gRPC.
    pub(crate) fn is_grpc(&self) -> bool {
        let before = self.parts.iter().map(|length| *length as usize).sum();
        self.as_ref().get(before..).is_some_and(is_grpc)
    }

    /// The custom method, the URI and the headers. The latter two share one
    /// allocation.
    pub(crate) fn share(self) -> (Option<Method>, Uri, KeptHeaders) {
        let [method, scheme, authority, path] = self.parts.map(|length| length as usize);
        let mut records = Bytes::from_owner(self);
        let method = match method {
            0 => None,
            length => Method::from_bytes(&records.split_to(length)).ok(),
        };
        // The texts are those of parts of a URI, and make a URI.
        let mut parts = Parts::default();
        if scheme > 0 {
            parts.scheme = Scheme::try_from(&records[..scheme]).ok();
            records.advance(scheme);
        }
        if authority > 0 {
            parts.authority = Authority::from_maybe_shared(records.split_to(authority)).ok();
        }
        if path > 0 {
            parts.path_and_query = PathAndQuery::from_maybe_shared(records.split_to(path)).ok();
        }
        (
            method,
            Uri::from_parts(parts).unwrap_or_default(),
            KeptHeaders::new(records),
        )
    }
}

impl AsRef<[u8]> for KeptText {
    fn as_ref(&self) -> &[u8] {
        self.inline.get(..self.used).unwrap_or(&self.spilled)
    }
}

impl fmt::Debug for KeptText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeptText").finish_non_exhaustive()
    }
}
