#[cfg(feature = "encryption")]
pub(crate) mod keys;

use std::fmt;

use bytes::Bytes;

use crate::{codec::corrupt, error::StoreError, id::JobId};

/// A seal over the data of clients in a store, such as encryption; see [`Sealed`](crate::Sealed).
///
/// Sealed bytes are bound to their [context](SealContext): opening them in another one fails.
///
/// ```
/// use tower_async_job_core::{Seal, SealContext, StoreError};
///
/// /// Shows the calls, and protects nothing.
/// #[derive(Debug)]
/// struct Mirror;
///
/// impl Seal for Mirror {
///     fn overhead(&self) -> usize {
///         0
///     }
///
///     fn seal(&self, _: &SealContext, plain: &[u8]) -> Result<Vec<u8>, StoreError> {
///         Ok(plain.iter().rev().copied().collect())
///     }
///
///     fn open(&self, context: &SealContext, sealed: &[u8]) -> Result<Vec<u8>, StoreError> {
///         self.seal(context, sealed)
///     }
/// }
/// ```
pub trait Seal: fmt::Debug + Send + Sync + 'static {
    /// Returns the maximum number of bytes that sealing adds.
    fn overhead(&self) -> usize;

    /// Seals bytes.
    ///
    /// # Errors
    ///
    /// Fails with [`is_unavailable`](StoreError::is_unavailable) if there is no key to seal with.
    fn seal(&self, context: &SealContext, plain: &[u8]) -> Result<Vec<u8>, StoreError>;

    /// Opens bytes that were sealed in the same context.
    ///
    /// # Errors
    ///
    /// Fails with [`is_corrupt`](StoreError::is_corrupt) if the bytes are not those sealed, and
    /// with [`is_unknown_key`](StoreError::is_unknown_key) if this node does not have their key:
    /// the job is then left to other nodes, as on every other error.
    fn open(&self, context: &SealContext, sealed: &[u8]) -> Result<Vec<u8>, StoreError>;
}

/// The part of a job that is sealed.
///
/// ```
/// use tower_async_job_core::SealedPart;
///
/// assert_ne!(SealedPart::Request, SealedPart::Response);
/// ```
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SealedPart {
    /// The request.
    Request,
    /// The response with its body.
    Response,
    /// The head of a response whose body is stored in chunks.
    Head {
        /// The epoch of the lease of the run that wrote the chunks.
        epoch: u64,
        /// The number of chunks.
        chunks: u32,
        /// The length of the body, in bytes.
        len: u64,
    },
    /// A chunk of the body, written by a run.
    Chunk {
        /// The epoch of the run's lease.
        epoch: u64,
        /// The index of the chunk.
        index: u32,
    },
    /// The partial result.
    Partial,
    /// The handler's own members of the status document.
    Metadata,
    /// The run's private checkpoint.
    Checkpoint,
    /// The notification of its end.
    Notify,
}

/// The context to which sealed bytes are bound.
///
/// ```
/// use tower_async_job_core::{JobId, SealContext, SealedPart};
///
/// let context = SealContext::new(JobId::from_bits(7), SealedPart::Request);
/// assert_eq!(context.to_bytes().len(), 29);
/// ```
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SealContext {
    /// The job.
    pub id: JobId,
    /// The part of the job.
    pub part: SealedPart,
}

impl SealContext {
    /// Creates the context of a part of a job.
    pub const fn new(id: JobId, part: SealedPart) -> Self {
        Self { id, part }
    }

    /// Returns the context as bytes, suitable as associated data of an authenticated cipher.
    pub fn to_bytes(&self) -> Vec<u8> {
        let (kind, epoch, index) = match self.part {
            SealedPart::Request => (0, 0, 0),
            SealedPart::Response => (1, 0, 0),
            SealedPart::Chunk { epoch, index } => (2, epoch, index),
            SealedPart::Partial => (3, 0, 0),
            SealedPart::Metadata => (4, 0, 0),
            SealedPart::Checkpoint => (5, 0, 0),
            SealedPart::Notify => (6, 0, 0),
            SealedPart::Head { epoch, chunks, .. } => (7, epoch, chunks),
        };
        let mut bytes = Vec::with_capacity(37);
        bytes.extend(self.id.to_bits().to_be_bytes());
        bytes.push(kind);
        bytes.extend(u64::to_be_bytes(epoch));
        bytes.extend(u32::to_be_bytes(index));
        if let SealedPart::Head { len, .. } = self.part {
            bytes.extend(len.to_be_bytes());
        }
        bytes
    }
}

/// The bit of a format number that says that the message is sealed, so that nodes without a seal leave
/// it to others, like a message of a later format.
pub(crate) const SEALED: u8 = 1 << 7;

/// Seals bytes except for the first `clear`, which stores read. The first of these is a format.
pub(crate) fn seal(
    seal: &dyn Seal,
    context: SealContext,
    plain: &Bytes,
    clear: usize,
) -> Result<Bytes, StoreError> {
    let head = plain
        .get(..clear)
        .ok_or_else(|| corrupt("it is too short"))?;
    let sealed = seal.seal(&context, plain)?;
    let mut stored = [head, &sealed].concat();
    // No message has the format 0, so that the store ends its job as unreadable.
    if let Some(format @ 1..) = stored[..clear].first_mut() {
        *format |= SEALED;
    }
    Ok(stored.into())
}

/// Opens bytes except for the first `clear`, which are not sealed.
pub(crate) fn open(
    seal: &dyn Seal,
    context: SealContext,
    stored: &Bytes,
    clear: usize,
) -> Result<Bytes, StoreError> {
    let (head, sealed) = stored
        .split_at_checked(clear)
        .ok_or_else(|| corrupt("it is too short"))?;
    if let Some(format) = head.first().filter(|format| **format & SEALED == 0) {
        let error = StoreError::unsupported_version((*format).into());
        return Err(error.with_source("it is not sealed"));
    }
    let plain = seal.open(&context, sealed)?;
    let is_same = |(at, byte): (usize, &u8)| match at {
        0 => plain.first().is_some_and(|format| format | SEALED == *byte),
        _ => plain.get(at) == Some(byte),
    };
    if !head.iter().enumerate().all(is_same) {
        return Err(corrupt("its beginning was changed"));
    }
    Ok(plain.into())
}
