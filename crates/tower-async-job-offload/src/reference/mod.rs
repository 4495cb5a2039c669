//! The reference to an object, which the inner store has in place of the chunks.
//!
//! Of a result that is outside, the inner store has three parts:
//!
//! - its head, whose format has [the bit](OUTSIDE) that no other node reads,
//! - an empty chunk with the index 0,
//! - the reference, in the chunk behind the last, whose index no result in the store itself has.

mod layout;

use std::ops::Range;

use bytes::Bytes;
use tower_async_job_core::{StoreError, StoredResponse};

use crate::object::Day;

pub(crate) use self::layout::Layout;

/// The format of references that is written, and the newest that is read.
const FORMAT: u8 = 1;

/// The bit of the format of a head that says that its body is outside, so that nodes that do not know
/// of it leave the result to others, like one of a later format.
const OUTSIDE: u8 = 1 << 6;

/// A reference to the object of a run.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Reference {
    /// The day of the object.
    pub(crate) day: Day,
    pub(crate) layout: Layout,
}

impl Reference {
    /// Returns the bytes to store.
    pub(crate) fn encode(&self) -> Bytes {
        let mut bytes = vec![FORMAT];
        bytes.extend(self.day.number().to_le_bytes());
        self.layout.put(&mut bytes);
        bytes.into()
    }

    /// Reads a stored reference.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, StoreError> {
        let corrupt = || StoreError::corrupt("the reference to its object is damaged");
        let (format, bytes) = bytes.split_first().ok_or_else(corrupt)?;
        match *format {
            FORMAT => {}
            0 => return Err(corrupt()),
            newer => return Err(StoreError::unsupported_version(newer.into())),
        }
        let (day, runs) = bytes.split_first_chunk().ok_or_else(corrupt)?;
        Ok(Self {
            day: Day::from_number(u32::from_le_bytes(*day)),
            layout: Layout::read(runs).ok_or_else(corrupt)?,
        })
    }

    /// Returns the place of a chunk.
    pub(crate) fn find(&self, index: u32) -> Result<Range<u64>, StoreError> {
        let missing = || StoreError::corrupt("the reference to its object lacks a chunk");
        self.layout.find(index).ok_or_else(missing)
    }
}

/// Marks a head, so that only nodes that read objects read it.
pub(crate) fn mark(head: &StoredResponse) -> StoredResponse {
    with_format(head, |format| format | OUTSIDE)
}

/// Removes the mark of a head, if it has one.
pub(crate) fn unmark(head: &mut StoredResponse) {
    if head
        .as_bytes()
        .first()
        .is_some_and(|format| format & OUTSIDE != 0)
    {
        *head = with_format(head, |format| format & !OUTSIDE);
    }
}

fn with_format(head: &StoredResponse, change: impl FnOnce(u8) -> u8) -> StoredResponse {
    let mut bytes = head.as_bytes().to_vec();
    if let Some(format) = bytes.first_mut() {
        *format = change(*format);
    }
    StoredResponse::from_bytes(bytes.into())
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, StatusCode};

    use super::*;

    /// A reference as this and earlier releases store it. A new format gets its own file; this one
    /// never changes and stays readable.
    const REFERENCE_1: &[u8] = include_bytes!("golden/reference-1.bin");

    fn reference() -> Reference {
        let mut layout = Layout::default();
        for index in 0..40 {
            layout.push(index, 256 << 10);
        }
        layout.push(40, 7);
        Reference {
            day: Day::from_number(20_783),
            layout,
        }
    }

    #[test]
    fn references_of_format_1_are_read() {
        let read = Reference::decode(REFERENCE_1).unwrap();
        assert_eq!(read, reference());
        assert_eq!(read.day.to_string(), "2026-11-26");
        assert_eq!(read.find(40).unwrap(), 10 << 20..(10 << 20) + 7);
    }

    /// The newest format is the one written. With a new format, this compares with its file.
    #[test]
    fn newest_format_is_written() {
        assert_eq!(reference().encode(), REFERENCE_1);
    }

    #[test]
    fn s41_s42_an_unknown_format_of_a_reference_is_told_from_damage() {
        let mut newer = REFERENCE_1.to_vec();
        newer[0] = FORMAT + 1;
        let error = Reference::decode(&newer).unwrap_err();
        assert!(error.is_unsupported_version(), "{error}");
        for length in 0..REFERENCE_1.len() {
            // Whole runs may be missing: then a chunk is.
            let read = Reference::decode(&REFERENCE_1[..length]);
            let error = read.and_then(|read| read.find(40)).unwrap_err();
            assert!(error.is_corrupt(), "{length}: {error}");
        }
        let endless = [&REFERENCE_1[..5], &[0xff; 24]].concat();
        let read = Reference::decode(&endless).unwrap();
        assert!(read.find(u32::MAX).unwrap_err().is_corrupt());
    }

    #[test]
    fn s41_a_marked_head_is_unsupported_until_its_mark_is_removed() {
        let head = StoredResponse::recorder(StatusCode::OK, &HeaderMap::new(), 0).finish(None);
        let mut marked = mark(&head);
        assert!(marked.decode().unwrap_err().is_unsupported_version());
        unmark(&mut marked);
        assert_eq!(marked, head);
        unmark(&mut marked);
        assert_eq!(marked, head);
    }
}
