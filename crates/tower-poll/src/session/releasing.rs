//! Memory while a call waits.

use bytes::BytesMut;
use http::{HeaderMap, HeaderValue};

use super::state::Session;
use crate::policy::poll_policy::PollPolicy;

impl<P: PollPolicy> Session<P> {
    /// Releases the buffer of the pending answer, once observers have been
    /// notified. The header values of clients such as hyper share that buffer,
    /// of 8 KiB or more, and would otherwise keep it for as long as the call
    /// waits.
    pub(crate) fn release_answer(&mut self) {
        let Some(answer) = self.answer.as_mut().filter(|answer| !answer.is_released) else {
            return;
        };
        answer.is_released = true;
        if self.policy.prepares_polls() {
            own_values(&mut answer.headers);
        } else {
            answer.headers = HeaderMap::new();
        }
    }
}

/// Copies all values to separate memory.
fn own_values(headers: &mut HeaderMap) {
    let length = headers.values().map(HeaderValue::len).sum();
    let mut text = BytesMut::with_capacity(length);
    for value in headers.values_mut() {
        text.extend_from_slice(value.as_bytes());
        // The text is that of a value, and makes one.
        if let Ok(mut own) = HeaderValue::from_maybe_shared(text.split().freeze()) {
            own.set_sensitive(value.is_sensitive());
            *value = own;
        }
    }
}
