use std::fmt;

use bytes::Bytes;
use http::{HeaderMap, Method, Uri, Version};

use crate::{
    codec::{self, Reader, corrupt, put_bytes, put_headers, put_length, put_trailers},
    error::StoreError,
};

/// A stored request, for a job that may be re-run: like [`StoredResponse`](crate::StoredResponse),
/// one opaque allocation.
///
/// ```
/// use http::Method;
/// use tower_async_job_core::{ReplayedRequest, StoredRequest};
///
/// let mut request = ReplayedRequest::default();
/// request.method = Method::POST;
/// request.uri = "/reports?year=2026".parse()?;
/// request.body = "{}".into();
///
/// let stored = StoredRequest::encode(&request);
/// assert_eq!(stored.decode()?, request);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct StoredRequest(Bytes);

impl StoredRequest {
    /// The newest format that this build reads, which it writes.
    pub const FORMAT: u8 = codec::VERSION;

    /// Encodes a request as it is; remove everything that must not be stored first.
    pub fn encode(request: &ReplayedRequest) -> Self {
        let uri = request.uri.to_string();
        let payload = uri.len() + request.body.len() + request.extensions.len();
        let mut buffer = Vec::with_capacity(64 + payload + 40 * request.headers.len());
        buffer.push(codec::VERSION);
        buffer.push(version_byte(request.version));
        put_bytes(&mut buffer, request.method.as_str().as_bytes());
        put_bytes(&mut buffer, uri.as_bytes());
        put_headers(&mut buffer, &request.headers);
        put_length(&mut buffer, request.body.len());
        buffer.extend_from_slice(&request.body);
        put_trailers(&mut buffer, request.trailers.as_ref());
        put_bytes(&mut buffer, &request.extensions);
        Self(Bytes::from(buffer.into_boxed_slice()))
    }

    /// Creates the request from stored bytes. Only [`decode`](Self::decode) reads them.
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

    /// Returns the format of the request, which is its first byte. `None` if the bytes are no
    /// request in any format.
    pub fn format(&self) -> Option<u8> {
        self.0.first().copied().filter(|format| *format > 0)
    }

    /// Returns the request. Its body and header values are views into the stored bytes.
    ///
    /// # Errors
    ///
    /// Fails if the bytes are not a request ([`is_corrupt`](StoreError::is_corrupt)), or have a
    /// format that this build does not know
    /// ([`is_unsupported_version`](StoreError::is_unsupported_version)).
    pub fn decode(&self) -> Result<ReplayedRequest, StoreError> {
        let mut reader = Reader::new(&self.0)?;
        let version = version_of(reader.byte()?)?;
        let method = Method::from_bytes(&reader.bytes()?).map_err(corrupt)?;
        let uri = Uri::from_maybe_shared(reader.bytes()?).map_err(corrupt)?;
        let headers = reader.headers()?;
        let body = reader.bytes()?;
        let trailers = reader.trailers()?;
        let extensions = reader.bytes()?;
        reader.end()?;
        Ok(ReplayedRequest {
            method,
            uri,
            version,
            headers,
            body,
            trailers,
            extensions,
        })
    }
}

impl fmt::Debug for StoredRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StoredRequest({} bytes)", self.0.len())
    }
}

/// The contents of a [`StoredRequest`]. By default, an empty GET of `/` in HTTP/1.1.
///
/// ```
/// use tower_async_job_core::ReplayedRequest;
///
/// assert_eq!(ReplayedRequest::default().method, "GET");
/// ```
#[non_exhaustive]
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ReplayedRequest {
    /// The method.
    pub method: Method,
    /// The target, in its original form.
    pub uri: Uri,
    /// The version of HTTP.
    pub version: Version,
    /// The kept headers.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Bytes,
    /// The trailers, if there was a trailer section, even an empty one.
    pub trailers: Option<HeaderMap>,
    /// The extensions of the request, as the application's own codec encoded them.
    pub extensions: Bytes,
}

impl fmt::Debug for ReplayedRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReplayedRequest")
            .field("method", &self.method)
            .field("version", &self.version)
            .field("headers", &self.headers)
            .field("body_len", &self.body.len())
            .field("trailers", &self.trailers)
            .field("extensions_len", &self.extensions.len())
            .finish_non_exhaustive()
    }
}

fn version_byte(version: Version) -> u8 {
    match version {
        Version::HTTP_09 => 9,
        Version::HTTP_10 => 10,
        Version::HTTP_2 => 20,
        Version::HTTP_3 => 30,
        _ => 11,
    }
}

fn version_of(byte: u8) -> Result<Version, StoreError> {
    match byte {
        9 => Ok(Version::HTTP_09),
        10 => Ok(Version::HTTP_10),
        11 => Ok(Version::HTTP_11),
        20 => Ok(Version::HTTP_2),
        30 => Ok(Version::HTTP_3),
        _ => Err(corrupt("its version of HTTP is malformed")),
    }
}
