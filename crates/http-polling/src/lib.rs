#![doc = include_str!("../README.md")]

mod content_type;
mod deadline;
mod digits;
mod document;
mod job_state;
mod location;
mod origin;
mod pending;
mod prefer;
mod problem;
mod problem_type;
mod progress;
mod request_head;
mod retry_after;
mod status_document;
mod timestamp;

pub use content_type::{JSON, PROBLEM_JSON, is_grpc, is_problem_json};
pub use deadline::{CANCEL_AFTER, GRPC_TIMEOUT, InvalidCancelAfter, cancel_after, grpc_timeout};
pub use document::{InvalidDocument, without_byte_order_mark};
pub use job_state::{JOB_STATUS, JobState, UnrecognisedJobState};
pub use location::{LocationError, MAX_LOCATION, resolve};
pub use origin::{is_downgrade, is_same_host, same_origin};
pub use pending::{Exchange, Pending, Reading};
pub use prefer::{PREFER, PREFERENCE_APPLIED, Prefer, PreferenceApplied};
pub use problem::Problem;
pub use problem_type::ProblemType;
pub use progress::Progress;
pub use request_head::RequestHead;
pub use retry_after::{
    RETRY_AFTER_MS, RetryAfter, X_MS_RETRY_AFTER_MS, has_retry_after, retry_after,
    retry_after_values, set_retry_after,
};
pub use status_document::{JsonRef, StatusDocument, StatusDocumentRef};
