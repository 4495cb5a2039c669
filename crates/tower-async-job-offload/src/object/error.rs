//! The errors of an object store, in words. No text contains the whole id of a job, which is a secret.

use std::error::Error as _;

use object_store::Error;
use tower_async_job_core::{Lease, StoreError};

use super::name::Object;

/// Returns the reason of an error, with those beneath it.
pub(super) fn reason(run: &Lease, error: &Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        source = error.source();
    }
    let id = run.id.encode();
    text.replace(id.as_str(), &format!("{}…", &id.as_str()[..8]))
}

/// Returns the error of an object that could not be uploaded, completed or read.
pub(super) fn failed(object: &Object, action: &str, error: &Error) -> StoreError {
    let advice = match error {
        Error::PermissionDenied { .. } | Error::Unauthenticated { .. } => {
            "check the credentials of the object store and their permissions"
        }
        Error::NotImplemented { .. } | Error::NotSupported { .. } => {
            "use an object store with multipart uploads and reads of ranges"
        }
        _ => "check that the object store is reachable and has room",
    };
    let reason = reason(&object.lease, error);
    StoreError::unavailable(format!(
        "the object {object} cannot be {action}: {reason}; {advice}"
    ))
}

pub(super) fn unread(object: &Object, error: &Error) -> StoreError {
    match error {
        Error::NotFound { .. } => StoreError::corrupt(format!(
            "the object {object} is missing, so the result is lost; check that no lifecycle rule and \
             no other job store deletes objects with this prefix"
        )),
        error => failed(object, "read", error),
    }
}

pub(super) fn truncated(object: &Object) -> StoreError {
    StoreError::corrupt(format!(
        "the object {object} is shorter than the result; check that nothing else writes objects with \
         this prefix"
    ))
}
