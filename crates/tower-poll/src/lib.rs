#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod caller;
mod cancel_on_drop;
mod clock;
mod coding;
mod config;
mod cookies;
pub mod dialect;
mod drain;
mod error;
mod future;
mod idempotency;
mod job;
mod kept;
mod layer;
mod pending_job;
pub mod policy;
mod polling;
mod prefer_async;
mod progress;
mod redact;
#[cfg(feature = "reqwest")]
#[cfg_attr(docsrs, doc(cfg(feature = "reqwest")))]
pub mod reqwest;
#[cfg(feature = "reqwest-middleware")]
#[cfg_attr(docsrs, doc(cfg(feature = "reqwest-middleware")))]
pub mod reqwest_middleware;
mod resubmit;
mod service;
mod session;
mod statuses;
mod submission;

/// The words of the protocol: job states, problem documents and the like.
pub use http_polling;

pub use caller::{Cancellation, DoNotWait};
pub use cancel_on_drop::{CancelOnDrop, CancelOnDropFuture, CancelOnDropLayer};
pub use error::{Error, Hint};
pub use future::PollFuture;
pub use job::{Job, Submitted, Update};
pub use kept::is_of_one_message;
pub use layer::PollLayer;
pub use pending_job::PendingJob;
pub use policy::{Hop, PollPolicy, PollPolicyExt, Refusal, StandardPolicy};
pub use prefer_async::PreferAsync;
pub use progress::{PollProgress, PollUpdate};
pub use resubmit::Resubmit;
pub use service::PollService;
