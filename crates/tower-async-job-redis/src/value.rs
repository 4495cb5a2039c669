//! Parts of answers.

use bytes::Bytes;
use redis::Value;
use tower_async_job_core::StoreError;

pub(crate) fn unexpected() -> StoreError {
    StoreError::unavailable("the answer of the server is malformed")
}

pub(crate) fn list(value: Value) -> Result<Vec<Value>, StoreError> {
    match value {
        Value::Array(values) => Ok(values),
        _ => Err(unexpected()),
    }
}

/// Returns the bytes of a value; `None` if there is none.
pub(crate) fn bytes(value: Value) -> Option<Bytes> {
    match value {
        Value::BulkString(bytes) => Some(bytes.into()),
        _ => None,
    }
}

pub(crate) fn text(value: Value) -> Result<String, StoreError> {
    match value {
        Value::BulkString(bytes) => String::from_utf8(bytes).map_err(|_| unexpected()),
        Value::SimpleString(text) => Ok(text),
        _ => Err(unexpected()),
    }
}

pub(crate) fn number(value: Value) -> Result<i64, StoreError> {
    match value {
        Value::Int(number) => Ok(number),
        value => text(value)?.parse().map_err(|_| unexpected()),
    }
}
