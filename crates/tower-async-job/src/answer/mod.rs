//! The answers that the layer writes itself.

mod document;
mod ended;
pub(crate) mod events;
mod file;
mod grpc;
mod pending;
mod preferences;
mod refusal;
mod response;
mod status;
mod validators;

use std::pin::Pin;

use http::Response;

pub(crate) use self::{
    document::document,
    ended::{ended, kept, result},
    pending::{AcceptedJob, accepted, accepted_before, known, pending, too_early},
    preferences::{apply_callback, apply_wait},
    refusal::{
        invalid, no_place, not_stored, panicked, problem, problem_of, problem_response, refusal,
        unavailable, unknown, unreadable,
    },
    response::{json, no_content, without_body},
    status::status,
};
use crate::body::StoredBody;

/// An answer that is not ready at once.
pub(crate) type Answer = Pin<Box<dyn Future<Output = Response<StoredBody>> + Send>>;
