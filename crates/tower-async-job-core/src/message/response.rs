use std::{error::Error, fmt};

use bytes::Bytes;
use http::{HeaderMap, StatusCode};

use crate::{
    codec::{self, Reader, corrupt, put_headers, put_trailers},
    error::StoreError,
};

/// A stored response: status, headers, body and trailers, in one allocation of the exact size.
///
/// A store keeps the bytes opaquely. They begin with a format number, so that a release can read
/// what the previous one wrote.
///
/// ```
/// use http::{HeaderMap, StatusCode};
/// use tower_async_job_core::StoredResponse;
///
/// let mut recorder = StoredResponse::recorder(StatusCode::OK, &HeaderMap::new(), 1024);
/// recorder.push(b"hello ")?;
/// recorder.push(b"world")?;
/// let stored = recorder.finish(None);
///
/// let read = StoredResponse::from_bytes(stored.as_bytes().clone()).decode()?;
/// assert_eq!(read.body, "hello world");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct StoredResponse(Bytes);

impl StoredResponse {
    /// Creates a recorder of a response. Its body may have `limit` bytes, and no more than 4 GiB.
    ///
    /// The headers are kept as they are, each with its mark of being sensitive; remove those that
    /// belong to the connection first.
    pub fn recorder(status: StatusCode, headers: &HeaderMap, limit: usize) -> ResponseRecorder {
        let mut buffer = Vec::with_capacity(64 + 40 * headers.len());
        buffer.push(codec::VERSION);
        buffer.extend_from_slice(&status.as_u16().to_le_bytes());
        buffer.extend_from_slice(&[0; 4]);
        put_headers(&mut buffer, headers);
        let limit = limit.min(u32::MAX as usize);
        ResponseRecorder {
            body: buffer.len(),
            buffer,
            limit,
        }
    }

    /// Creates the response from stored bytes. Only [`decode`](Self::decode) reads them.
    pub fn from_bytes(bytes: Bytes) -> Self {
        Self(bytes)
    }

    /// Returns the bytes to store.
    pub fn as_bytes(&self) -> &Bytes {
        &self.0
    }

    /// Returns the number of bytes to store.
    #[expect(clippy::len_without_is_empty, reason = "there is always a head")]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns the length of the body, which is in the first bytes; 0 if they are corrupt.
    pub fn body_len(&self) -> u64 {
        let length = self.0.get(LENGTH_AT..CLEAR);
        let length = length.and_then(|length| length.try_into().ok());
        length.map_or(0, u32::from_le_bytes).into()
    }

    /// Returns the response. Its body and header values are views into the stored bytes.
    ///
    /// # Errors
    ///
    /// Fails if the bytes are not a response ([`is_corrupt`](StoreError::is_corrupt)), or have a
    /// format that this build does not know
    /// ([`is_unsupported_version`](StoreError::is_unsupported_version)).
    pub fn decode(&self) -> Result<ReplayedResponse, StoreError> {
        let mut reader = Reader::new(&self.0)?;
        let status = StatusCode::from_u16(reader.u16()?).map_err(corrupt)?;
        let length = reader.u32()?;
        let headers = reader.headers()?;
        let body = reader.take(length as usize)?;
        let trailers = reader.trailers()?;
        reader.end()?;
        Ok(ReplayedResponse {
            status,
            headers,
            body,
            trailers,
        })
    }
}

impl fmt::Debug for StoredResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StoredResponse({} bytes)", self.0.len())
    }
}

/// A recorder of a [`StoredResponse`], whose body arrives in pieces.
///
/// Dropping it drops the recorded bytes.
///
/// ```
/// use http::{HeaderMap, StatusCode};
/// use tower_async_job_core::StoredResponse;
///
/// let mut recorder = StoredResponse::recorder(StatusCode::OK, &HeaderMap::new(), 4);
/// assert!(recorder.push(b"1234").is_ok());
/// assert_eq!(recorder.push(b"5").unwrap_err().limit(), 4);
/// ```
#[must_use]
pub struct ResponseRecorder {
    buffer: Vec<u8>,
    /// The offset of the body in the buffer.
    body: usize,
    limit: usize,
}

impl ResponseRecorder {
    /// Reserves memory for the expected bytes of the body, up to the limit. A hint only: any body
    /// may follow.
    pub fn reserve(&mut self, expected: usize) {
        let missing = expected.min(self.limit).saturating_sub(self.body_len());
        // One more byte, for the absence of trailers.
        self.buffer.reserve_exact(missing.saturating_add(1));
    }

    /// Returns the number of bytes so far, including the head.
    #[expect(clippy::len_without_is_empty, reason = "there is always a head")]
    pub fn len(&self) -> usize {
        self.buffer.len()
    }

    /// Returns the number of bytes of the body so far.
    pub fn body_len(&self) -> usize {
        self.buffer.len() - self.body
    }

    /// Appends to the body.
    ///
    /// # Errors
    ///
    /// Fails if the body would exceed its limit; nothing is appended then.
    pub fn push(&mut self, chunk: &[u8]) -> Result<(), TooLarge> {
        if chunk.len() > self.limit - self.body_len() {
            return Err(TooLarge { limit: self.limit });
        }
        self.buffer.extend_from_slice(chunk);
        Ok(())
    }

    /// Takes the recorded body, to be [written](crate::JobStore::write_chunk) as a chunk. The head
    /// stays, with capacity for the next chunk.
    ///
    /// ```
    /// use http::{HeaderMap, StatusCode};
    /// use tower_async_job_core::StoredResponse;
    ///
    /// let mut recorder = StoredResponse::recorder(StatusCode::OK, &HeaderMap::new(), 4);
    /// recorder.push(b"1234")?;
    /// assert_eq!(recorder.take_body(), "1234");
    /// assert_eq!(recorder.finish(None).body_len(), 0);
    /// # Ok::<(), tower_async_job_core::TooLarge>(())
    /// ```
    pub fn take_body(&mut self) -> Bytes {
        let body = Bytes::copy_from_slice(&self.buffer[self.body..]);
        self.buffer.truncate(self.body);
        body
    }

    /// Ends the body and returns the response.
    pub fn finish(mut self, trailers: Option<&HeaderMap>) -> StoredResponse {
        // The limit is at most `u32::MAX`.
        let length = self.body_len() as u32;
        self.buffer[LENGTH_AT..LENGTH_AT + 4].copy_from_slice(&length.to_le_bytes());
        put_trailers(&mut self.buffer, trailers);
        StoredResponse(Bytes::from(self.buffer.into_boxed_slice()))
    }
}

/// The offset of a body's length: after the version and the status.
const LENGTH_AT: usize = 3;

/// The number of leading bytes of a response with its version, status and length.
pub(crate) const CLEAR: usize = LENGTH_AT + 4;

impl fmt::Debug for ResponseRecorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseRecorder")
            .field("body_len", &self.body_len())
            .field("limit", &self.limit)
            .finish()
    }
}

/// The error of a response body that exceeds its limit.
///
/// ```
/// use http::{HeaderMap, StatusCode};
/// use tower_async_job_core::StoredResponse;
///
/// let mut recorder = StoredResponse::recorder(StatusCode::OK, &HeaderMap::new(), 0);
/// let error = recorder.push(b"!").unwrap_err();
/// assert_eq!(error.to_string(), "the response body is longer than 0 bytes");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TooLarge {
    limit: usize,
}

impl TooLarge {
    /// Returns the limit, in bytes.
    pub fn limit(&self) -> usize {
        self.limit
    }
}

impl fmt::Display for TooLarge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the response body is longer than {} bytes", self.limit)
    }
}

impl Error for TooLarge {}

/// The contents of a [`StoredResponse`].
///
/// ```
/// use http::{HeaderMap, StatusCode};
/// use tower_async_job_core::StoredResponse;
///
/// let stored = StoredResponse::recorder(StatusCode::NO_CONTENT, &HeaderMap::new(), 0).finish(None);
/// let read = stored.decode()?;
/// assert_eq!((read.status, read.trailers), (StatusCode::NO_CONTENT, None));
/// # Ok::<(), tower_async_job_core::StoreError>(())
/// ```
#[non_exhaustive]
#[derive(Clone, PartialEq, Eq)]
pub struct ReplayedResponse {
    /// The status.
    pub status: StatusCode,
    /// The headers, in the order of their names' first appearance.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Bytes,
    /// The trailers, if there was a trailer section, even an empty one.
    pub trailers: Option<HeaderMap>,
}

impl fmt::Debug for ReplayedResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReplayedResponse")
            .field("status", &self.status)
            .field("headers", &self.headers)
            .field("body_len", &self.body.len())
            .field("trailers", &self.trailers)
            .finish()
    }
}
