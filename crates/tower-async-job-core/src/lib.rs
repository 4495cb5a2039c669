#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod claim;
mod codec;
mod end;
mod ended;
mod error;
mod id;
mod interpose;
mod job;
mod json;
mod lease;
mod memory;
mod message;
mod owner;
mod properties;
mod query;
mod queue_limit;
mod read_batch;
mod record;
mod seal;
mod sealed;
mod store;
mod subscription;
mod sync;
mod version;
mod waiters;
mod wake;

#[doc(hidden)]
pub use bytes as __bytes;
/// The words of the protocol: job states, problem documents and related types.
pub use http_polling;

pub use claim::{Claim, ClaimKind, ClaimQuery, Claims, Task};
pub use end::{End, Outcome, Report};
pub use ended::EndedJobs;
pub use error::{StoreError, StoreLimit};
pub use id::{
    EncodedId, JobHandle, JobId, JobIdHasher, JobIdMap, ParseJobHandleError, ParseJobIdError,
};
pub use interpose::{Call, Interpose, Interposed};
pub use job::{NewJob, PendingStatus, Protocol, Retention, Start};
pub use json::Json;
pub use lease::{Lease, Outside, Release, Released, Renewal, pause_after_loss};
pub use memory::{Clock, MemoryStore, MemoryStoreBuilder, SystemClock};
pub use message::{
    ReplayedRequest, ReplayedResponse, ResponseRecorder, StoredRequest, StoredResponse, TooLarge,
};
pub use owner::{IdempotencyKey, InvalidIdempotencyKey, Owner, Principal};
pub use properties::{PendingJobs, StoreProperties, SweepQuery, Upkeep, Usage};
pub use query::{JobCursor, JobPage, JobQuery, ParseJobCursorError};
pub use queue_limit::QueueLimit;
pub use read_batch::ReadBatch;
pub use record::{
    Cancellation, Created, Detail, JobRecord, NotificationStatus, RecordedOutcome, ResultRef,
};
#[cfg(feature = "encryption")]
pub use seal::keys::{EncryptionKeys, InvalidEncryptionKeys};
pub use seal::{Seal, SealContext, SealedPart};
pub use sealed::Sealed;
pub use store::{CHUNKS_LINGER, DELIVERED_KEPT, JobStore, StoreFuture};
pub use subscription::Subscription;
pub use waiters::Waiters;
