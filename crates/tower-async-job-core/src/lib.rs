#![doc = include_str!("../README.md")]

mod codec;
mod error;
mod id;
mod job;
mod json;
mod lease;
mod memory;
mod message;
mod owner;
mod query;
mod record;
mod store;
mod sync;

pub use error::{StoreError, StoreLimit};
pub use id::{EncodedId, JobHandle, JobId, JobIdHasher, JobIdMap, ParseHandleError};
pub use job::{NewJob, Outcome, Protocol, Report, Retention};
pub use json::Json;
pub use lease::{Lease, Renewal};
pub use memory::{Clock, MemoryStore, MemoryStoreBuilder, SystemClock};
pub use message::{
    ReplayedRequest, ReplayedResponse, ResponseRecorder, StoredRequest, StoredResponse, TooLarge,
};
pub use owner::{IdempotencyKey, InvalidIdempotencyKey, Owner, Principal};
pub use query::{JobCursor, JobPage, JobQuery, ParseCursorError};
pub use record::{Cancellation, Claim, Created, Detail, JobRecord, RecordedOutcome};
pub use store::{BoxFuture, DELIVERED_KEPT, JobStore, Usage};
