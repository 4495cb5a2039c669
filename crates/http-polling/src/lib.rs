#![doc = include_str!("../README.md")]

mod exchange;

mod deadline;
mod idempotency_key;
mod location;
mod prefer;
mod problem;
mod request_head;
mod retry_after;
mod status_document;

mod content_type;
mod job_state;
mod origin;
mod problem_type;
mod progress;

mod digits;
mod document;
mod rounding;
mod timestamp;

pub use content_type::{JSON, PROBLEM_JSON, is_grpc, is_problem_json};
pub use deadline::{CANCEL_AFTER, GRPC_TIMEOUT, InvalidCancelAfter, cancel_after, grpc_timeout};
pub use document::{InvalidDocument, without_byte_order_mark};
pub use exchange::{Exchange, NextPoll, Reading};
pub use idempotency_key::{IDEMPOTENCY_KEY, idempotency_key};
pub use job_state::{JOB_STATUS, JobState, ParseJobStateError};
pub use location::{LocationError, MAX_LOCATION, resolve};
pub use origin::{is_downgrade, is_same_host, same_origin};
pub use prefer::{PREFER, PREFERENCE_APPLIED, Prefer, PreferenceApplied, take_callback};
pub use problem::Problem;
pub use problem_type::ProblemType;
pub use progress::Progress;
pub use request_head::RequestHead;
pub use retry_after::{
    RETRY_AFTER_MS, RetryAfter, X_MS_RETRY_AFTER_MS, has_retry_after, retry_after,
    retry_after_values, set_retry_after,
};
pub use status_document::{JsonRef, StatusDocument, StatusDocumentRef};
