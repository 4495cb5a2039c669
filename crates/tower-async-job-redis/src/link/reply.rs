//! Answers of scripts.

use std::vec::IntoIter;

use redis::Value;
use tower_async_job_core::StoreError;

use crate::{
    time::Micros,
    value::{list, number, text, unexpected},
};

/// The answer of a script that concerns one job: its parts, or a text that has spaces between them,
/// which costs the server less.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) now: Micros,
    /// True if the job is no longer pending.
    pub(crate) ended: bool,
    /// True if there is something new to claim.
    pub(crate) claimable: bool,
    pub(crate) status: String,
    rest: IntoIter<Value>,
}

impl Reply {
    pub(crate) fn new(value: Value) -> Result<Self, StoreError> {
        let parts = match value {
            Value::BulkString(text) => {
                let parts = text.split(|byte| *byte == b' ');
                parts.map(|part| Value::BulkString(part.into())).collect()
            }
            value => list(value)?,
        };
        let mut rest = parts.into_iter();
        let mut next = || rest.next().unwrap_or(Value::Nil);
        let (now, effects, status) = (number(next())?, number(next())?, text(next())?);
        // The script has failed at this job.
        if status == "refused" {
            return Err(unexpected());
        }
        Ok(Self {
            now,
            ended: effects & 1 != 0,
            claimable: effects & 2 != 0,
            status,
            rest,
        })
    }

    /// Returns the next part of the answer.
    pub(crate) fn next(&mut self) -> Value {
        self.rest.next().unwrap_or(Value::Nil)
    }

    /// Returns the error of a status that is no success.
    pub(crate) fn error(&self) -> StoreError {
        match &*self.status {
            "lost" => StoreError::lease_lost(),
            "conflict" => StoreError::conflict(),
            "corrupt" => StoreError::corrupt("a field of its row is malformed"),
            // The number itself is not known here.
            "newer" => StoreError::unsupported_version(crate::job::newest_format() + 1),
            _ => unexpected(),
        }
    }
}
