//! Writing a status document. It is in the body of every pending answer, so
//! the members that each has are written without the detour over serde; the
//! text is the same.

use std::time::SystemTime;

use serde::Serialize;

use super::StatusDocument;
use crate::timestamp;

/// What the usual document fits in.
const USUAL_LENGTH: usize = 224;

pub(super) fn of(document: &StatusDocument) -> Vec<u8> {
    if document.progress.is_none() && document.partial.is_none() && document.metadata.is_none() {
        let usual = Usual {
            id: &document.id,
            state: document.state,
            created: document.created,
            started: document.started,
            ended: document.ended,
            attempt: document.attempt,
            retry_after_ms: document.retry_after_ms,
        };
        if let Some(json) = usual.to_json() {
            return json;
        }
    }
    let mut json = Vec::with_capacity(USUAL_LENGTH);
    json.extend_from_slice(b"{\"id\":");
    put_text(&mut json, &document.id);
    json.extend_from_slice(b",\"state\":\"");
    json.extend_from_slice(document.state.as_str().as_bytes());
    json.push(b'"');
    put_time(&mut json, ",\"created\":", document.created);
    put_time(&mut json, ",\"started\":", document.started);
    put_time(&mut json, ",\"ended\":", document.ended);
    put(&mut json, ",\"attempt\":", Some(&document.attempt));
    put(
        &mut json,
        ",\"retry_after_ms\":",
        document.retry_after_ms.as_ref(),
    );
    put(&mut json, ",\"progress\":", document.progress.as_ref());
    put(&mut json, ",\"partial\":", document.partial.as_ref());
    put(&mut json, ",\"metadata\":", document.metadata.as_ref());
    json.push(b'}');
    json
}

/// A document of just the members that each has.
#[doc(hidden)]
#[allow(missing_docs, missing_debug_implementations)]
pub struct Usual<'a> {
    pub id: &'a str,
    pub state: crate::JobState,
    pub created: Option<SystemTime>,
    pub started: Option<SystemTime>,
    pub ended: Option<SystemTime>,
    pub attempt: u32,
    pub retry_after_ms: Option<u64>,
}

impl Usual<'_> {
    /// `None` where it takes more than is usual.
    #[doc(hidden)]
    #[must_use]
    pub fn to_json(&self) -> Option<Vec<u8>> {
        let mut text = Text { bytes: [0; USUAL_LENGTH], length: 0 };
        text.head(self)?;
        text.put(b"}")?;
        // Of just the size needed, so that it becomes shared bytes without more.
        Some(text.bytes[..text.length].to_vec())
    }
}

/// What the usual document is written to first.
struct Text {
    bytes: [u8; USUAL_LENGTH],
    length: usize,
}

impl Text {
    #[inline]
    fn put(&mut self, part: &[u8]) -> Option<()> {
        let end = self.length + part.len();
        self.bytes.get_mut(self.length..end)?.copy_from_slice(part);
        self.length = end;
        Some(())
    }

    fn head(&mut self, document: &Usual<'_>) -> Option<()> {
        let id = document.id.as_bytes();
        // Without an early end, so that the compiler makes vectors of it.
        let plain = id.iter().fold(true, |plain, byte| plain & byte.is_ascii_alphanumeric());
        plain.then_some(())?;
        self.put(b"{\"id\":\"")?;
        self.put(id)?;
        self.put(b"\",\"state\":\"")?;
        self.put(document.state.as_str().as_bytes())?;
        let created = timestamp::text(document.created);
        self.time(b"\",\"created\":\"", &created)?;
        if document.started == document.created {
            self.time(b"\",\"started\":\"", &created)?;
        } else {
            self.time(b"\",\"started\":\"", &timestamp::text(document.started))?;
        }
        self.time(b"\",\"ended\":\"", &timestamp::text(document.ended))?;
        self.put(b"\",\"attempt\":")?;
        self.put(itoa::Buffer::new().format(document.attempt).as_bytes())?;
        if let Some(millis) = document.retry_after_ms {
            self.put(b",\"retry_after_ms\":")?;
            self.put(itoa::Buffer::new().format(millis).as_bytes())?;
        }
        Some(())
    }

    fn time(&mut self, name: &[u8], time: &Option<[u8; 24]>) -> Option<()> {
        if let Some(time) = time {
            self.put(name)?;
            self.put(time)?;
        }
        Some(())
    }
}

/// Identifiers seldom have anything to be escaped.
fn put_text(json: &mut Vec<u8>, text: &str) {
    if text.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        json.push(b'"');
        json.extend_from_slice(text.as_bytes());
        json.push(b'"');
    } else {
        put(json, "", Some(text));
    }
}

fn put_time(json: &mut Vec<u8>, name: &str, time: Option<SystemTime>) {
    if let Some(text) = timestamp::text(time) {
        json.extend_from_slice(name.as_bytes());
        json.push(b'"');
        json.extend_from_slice(&text);
        json.push(b'"');
    }
}

/// An absent member is not written.
fn put<T: Serialize + ?Sized>(json: &mut Vec<u8>, name: &str, value: Option<&T>) {
    if let Some(value) = value {
        json.extend_from_slice(name.as_bytes());
        serde_json::to_writer(&mut *json, value)
            .expect("every member has a JSON form, and every key is a string");
    }
}
