use std::fmt;

use bytes::Bytes;
use serde_json::{Map, Value};

use crate::error::StoreError;

/// A JSON value as text: serialised once, shared by its clones, and sent as is.
///
/// A store keeps the bytes opaquely. `Debug` does not show them.
///
/// ```
/// use serde_json::json;
/// use tower_async_job_core::Json;
///
/// let rows = Json::from(json!([1, 2]));
/// assert_eq!(rows.as_bytes(), "[1,2]");
/// assert_eq!(rows.decode()?, json!([1, 2]));
/// # Ok::<(), tower_async_job_core::StoreError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Json(Bytes);

impl Json {
    /// Creates the value with this stored text. Only [`decode`](Self::decode) parses it.
    pub fn from_bytes(text: Bytes) -> Self {
        Self(text)
    }

    /// Returns the text.
    pub fn as_bytes(&self) -> &Bytes {
        &self.0
    }

    /// Returns the length of the text in bytes.
    #[expect(clippy::len_without_is_empty, reason = "no JSON text is empty")]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns the value.
    ///
    /// # Errors
    ///
    /// Fails if the text is not JSON ([`is_corrupt`](StoreError::is_corrupt)).
    pub fn decode(&self) -> Result<Value, StoreError> {
        serde_json::from_slice(&self.0).map_err(StoreError::corrupt)
    }
}

impl From<Value> for Json {
    fn from(value: Value) -> Self {
        // Of the exact size, so that it becomes shared bytes without a copy.
        Self(Bytes::from(
            value.to_string().into_boxed_str().into_boxed_bytes(),
        ))
    }
}

impl From<Map<String, Value>> for Json {
    fn from(members: Map<String, Value>) -> Self {
        Self::from(Value::Object(members))
    }
}

impl fmt::Debug for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Json({} bytes)", self.0.len())
    }
}
