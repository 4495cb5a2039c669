//! Writing a status document. It is in the body of every pending answer, so
//! the members that each has are written without the detour over serde; the
//! text is the same.

use std::io::{self, ErrorKind, Write};

use super::borrowed::{JsonRef, StatusDocumentRef};
use crate::timestamp;

/// The usual document fits into so many bytes.
const USUAL_LENGTH: usize = 224;

impl StatusDocumentRef<'_> {
    /// Returns the document as JSON, the same text as [`StatusDocument::to_json`] returns.
    ///
    /// The buffer has exactly the size of the text.
    ///
    /// [`StatusDocument::to_json`]: crate::StatusDocument::to_json
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        let mut usual = Usual {
            bytes: [0; USUAL_LENGTH],
            length: 0,
        };
        if write(self, &mut usual).is_ok() {
            // The exact size lets the text become shared bytes without a copy.
            return usual.bytes[..usual.length].to_vec();
        }
        let text = [self.partial, self.metadata].map(|member| match member {
            Some(JsonRef::Text(text)) => text.len(),
            _ => 0,
        });
        let mut json = Vec::with_capacity(4 * USUAL_LENGTH + text[0] + text[1]);
        write(self, &mut json).expect("every member has a JSON form, and every key is a string");
        json
    }
}

/// Text on the stack; what is longer than usual is an error.
struct Usual {
    bytes: [u8; USUAL_LENGTH],
    length: usize,
}

impl Write for Usual {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        self.write_all(text).map(|()| text.len())
    }

    // For text of a known length the compiler makes a few moves of it.
    #[inline]
    fn write_all(&mut self, text: &[u8]) -> io::Result<()> {
        let end = self.length + text.len();
        let room = self.bytes.get_mut(self.length..end);
        room.ok_or(ErrorKind::WriteZero)?.copy_from_slice(text);
        self.length = end;
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn write(document: &StatusDocumentRef<'_>, json: &mut impl Write) -> io::Result<()> {
    json.write_all(b"{\"id\":")?;
    write_text(json, document.id)?;
    json.write_all(b",\"state\":\"")?;
    json.write_all(document.state.as_str().as_bytes())?;
    json.write_all(b"\"")?;
    let created = timestamp::text(document.created);
    // Most handlers start when their job is created.
    let started = if document.started == document.created {
        created
    } else {
        timestamp::text(document.started)
    };
    write_time(json, b",\"created\":\"", created)?;
    write_time(json, b",\"started\":\"", started)?;
    write_time(json, b",\"ended\":\"", timestamp::text(document.ended))?;
    json.write_all(b",\"attempt\":")?;
    json.write_all(itoa::Buffer::new().format(document.attempt).as_bytes())?;
    if let Some(millis) = document.retry_after_ms {
        json.write_all(b",\"retry_after_ms\":")?;
        json.write_all(itoa::Buffer::new().format(millis).as_bytes())?;
    }
    if let Some(progress) = document.progress {
        json.write_all(b",\"progress\":")?;
        serde_json::to_writer(&mut *json, progress)?;
    }
    write_member(json, b",\"partial\":", document.partial)?;
    write_member(json, b",\"metadata\":", document.metadata)?;
    json.write_all(b"}")
}

/// Identifiers seldom have anything to be escaped.
fn write_text(json: &mut impl Write, text: &str) -> io::Result<()> {
    // Without an early end, so that the compiler makes vectors of it.
    let is_plain = |plain, byte: u8| plain & byte.is_ascii_alphanumeric();
    if text.bytes().fold(true, is_plain) {
        json.write_all(b"\"")?;
        json.write_all(text.as_bytes())?;
        json.write_all(b"\"")
    } else {
        Ok(serde_json::to_writer(json, text)?)
    }
}

/// An absent time is not written.
#[inline]
fn write_time(json: &mut impl Write, name: &[u8], time: Option<[u8; 24]>) -> io::Result<()> {
    if let Some(time) = time {
        json.write_all(name)?;
        json.write_all(&time)?;
        json.write_all(b"\"")?;
    }
    Ok(())
}

/// An absent member is not written.
fn write_member(json: &mut impl Write, name: &[u8], value: Option<JsonRef<'_>>) -> io::Result<()> {
    let Some(value) = value else {
        return Ok(());
    };
    json.write_all(name)?;
    match value {
        JsonRef::Value(value) => serde_json::to_writer(json, value)?,
        JsonRef::Object(members) => serde_json::to_writer(json, members)?,
        JsonRef::Text(text) => json.write_all(text)?,
    }
    Ok(())
}
