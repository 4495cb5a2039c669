//! The binary format of stored messages.
//!
//! Lengths are LEB128. Headers are a count, followed by the length and text of each name and the
//! length and bytes of each value; the lowest bit of the latter length marks a sensitive value.
//! Reading is total: no input panics, and no length allocates before its bytes are known to exist.

use bytes::{Buf, Bytes};
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::error::StoreError;

/// The version that is written, and the newest that is read.
pub(crate) const VERSION: u8 = 1;

/// The oldest version that is read.
const OLDEST: u8 = 1;

/// The capacity for headers added to a replayed response, so that its map does not grow.
const MORE_HEADERS: usize = 7;

pub(crate) fn put_length(buffer: &mut Vec<u8>, length: usize) {
    let mut rest = length;
    while rest >= 0x80 {
        // The truncation to the low byte is intended; the high bit marks that more follows.
        buffer.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    buffer.push(rest as u8);
}

pub(crate) fn put_bytes(buffer: &mut Vec<u8>, bytes: &[u8]) {
    put_length(buffer, bytes.len());
    buffer.extend_from_slice(bytes);
}

pub(crate) fn put_headers(buffer: &mut Vec<u8>, headers: &HeaderMap) {
    put_length(buffer, headers.len());
    for (name, value) in headers {
        put_bytes(buffer, name.as_str().as_bytes());
        put_length(buffer, value.len() << 1 | usize::from(value.is_sensitive()));
        buffer.extend_from_slice(value.as_bytes());
    }
}

pub(crate) fn put_trailers(buffer: &mut Vec<u8>, trailers: Option<&HeaderMap>) {
    buffer.push(u8::from(trailers.is_some()));
    if let Some(trailers) = trailers {
        put_headers(buffer, trailers);
    }
}

/// The unread bytes.
pub(crate) struct Reader {
    version: u8,
    rest: Bytes,
}

impl Reader {
    /// Starts reading after the version.
    pub(crate) fn new(bytes: &Bytes) -> Result<Self, StoreError> {
        let mut rest = bytes.clone();
        match rest.try_get_u8().map_err(corrupt)? {
            0 => Err(corrupt("it has no version")),
            version @ OLDEST..=VERSION => Ok(Self { version, rest }),
            other => Err(StoreError::unsupported_version(other.into())),
        }
    }

    /// Returns the version in which the bytes were written.
    #[cfg_attr(not(test), expect(dead_code, reason = "there is one version yet"))]
    pub(crate) fn version(&self) -> u8 {
        self.version
    }

    pub(crate) fn byte(&mut self) -> Result<u8, StoreError> {
        self.rest.try_get_u8().map_err(corrupt)
    }

    pub(crate) fn u16(&mut self) -> Result<u16, StoreError> {
        self.rest.try_get_u16_le().map_err(corrupt)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, StoreError> {
        self.rest.try_get_u32_le().map_err(corrupt)
    }

    pub(crate) fn length(&mut self) -> Result<usize, StoreError> {
        let mut length = 0usize;
        for shift in (0..usize::BITS).step_by(7) {
            let byte = self.byte()?;
            let part = usize::from(byte & 0x7f);
            if part << shift >> shift != part {
                break;
            }
            length |= part << shift;
            if byte < 0x80 {
                return Ok(length);
            }
        }
        Err(corrupt("a length is out of range"))
    }

    /// Returns the next `length` bytes, shared and not copied.
    pub(crate) fn take(&mut self, length: usize) -> Result<Bytes, StoreError> {
        if length > self.rest.len() {
            return Err(corrupt("it ends too early"));
        }
        Ok(self.rest.split_to(length))
    }

    pub(crate) fn bytes(&mut self) -> Result<Bytes, StoreError> {
        let length = self.length()?;
        self.take(length)
    }

    pub(crate) fn headers(&mut self) -> Result<HeaderMap, StoreError> {
        let count = self.length()?;
        // A header takes at least three bytes, so the input bounds the capacity.
        if count > self.rest.len() / 3 {
            return Err(corrupt("it ends too early"));
        }
        let mut headers = HeaderMap::try_with_capacity(count + MORE_HEADERS).map_err(corrupt)?;
        for _ in 0..count {
            let length = self.length()?;
            let name = self
                .rest
                .get(..length)
                .ok_or_else(|| corrupt("it ends too early"))?;
            let name = HeaderName::from_bytes(name).map_err(corrupt)?;
            self.rest.advance(length);
            let length = self.length()?;
            let value = self.take(length >> 1)?;
            let mut value = HeaderValue::from_maybe_shared(value).map_err(corrupt)?;
            value.set_sensitive(length & 1 == 1);
            headers.try_append(name, value).map_err(corrupt)?;
        }
        Ok(headers)
    }

    pub(crate) fn trailers(&mut self) -> Result<Option<HeaderMap>, StoreError> {
        match self.byte()? {
            0 => Ok(None),
            1 => self.headers().map(Some),
            _ => Err(corrupt("its trailers are malformed")),
        }
    }

    /// Checks that nothing is left.
    pub(crate) fn end(self) -> Result<(), StoreError> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(corrupt("it goes on behind its end"))
        }
    }
}

pub(crate) fn corrupt(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> StoreError {
    StoreError::corrupt(source)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reader_keeps_the_version_it_read() {
        let reader = Reader::new(&Bytes::from_static(&[OLDEST])).unwrap();
        assert_eq!(reader.version(), OLDEST);
        let newer = Reader::new(&Bytes::from_static(&[VERSION + 1]));
        assert!(newer.is_err_and(|error| error.is_unsupported_version()));
        let none = Reader::new(&Bytes::from_static(&[0]));
        assert!(none.is_err_and(|error| error.is_corrupt()));
    }
}
