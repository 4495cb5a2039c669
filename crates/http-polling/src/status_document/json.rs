//! Serialization of status documents. Every pending answer has one in its body,
//! so that the common members are written without serde. The text is the same.

use std::io::{self, ErrorKind, Write};

use super::borrowed::{JsonRef, StatusDocumentRef};
use crate::timestamp;

/// The size of a buffer that is sufficient for most documents, in bytes.
const USUAL_LENGTH: usize = 224;

impl StatusDocumentRef<'_> {
    /// Serializes the document as JSON, to the same text as
    /// [`StatusDocument::to_json`].
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

/// A buffer on the stack. Text that exceeds it is an error.
struct Usual {
    bytes: [u8; USUAL_LENGTH],
    length: usize,
}

impl Write for Usual {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        self.write_all(text).map(|()| text.len())
    }

    // Inlined, a write of known length compiles to a few moves.
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
    // Most handlers start at the time at which their job is created.
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

/// Writes a JSON string. Identifiers rarely need escapes.
fn write_text(json: &mut impl Write, text: &str) -> io::Result<()> {
    // Without an early exit, so that the compiler can vectorize the loop.
    let is_plain = |plain, byte: u8| plain & byte.is_ascii_alphanumeric();
    if text.bytes().fold(true, is_plain) {
        json.write_all(b"\"")?;
        json.write_all(text.as_bytes())?;
        json.write_all(b"\"")
    } else {
        Ok(serde_json::to_writer(json, text)?)
    }
}

/// Writes a member with a time, unless the time is absent.
#[inline]
fn write_time(json: &mut impl Write, name: &[u8], time: Option<[u8; 24]>) -> io::Result<()> {
    if let Some(time) = time {
        json.write_all(name)?;
        json.write_all(&time)?;
        json.write_all(b"\"")?;
    }
    Ok(())
}

/// Writes a member, unless it is absent.
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
