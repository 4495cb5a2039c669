#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod adapters;
mod cancel_on_drop;

mod layer;

mod service;

mod future;
mod job;

mod polling;

mod session;

mod error;
mod request;

mod config;
mod pending_job;

pub mod dialect;
pub mod policy;
mod progress;

mod budget;
mod client;
mod coding;
mod redact;
mod statuses;

/// The words of the protocol: job states, problem documents and the like.
pub use http_polling;

#[cfg(feature = "reqwest")]
#[cfg_attr(docsrs, doc(cfg(feature = "reqwest")))]
pub use adapters::reqwest;
#[cfg(feature = "reqwest-middleware")]
#[cfg_attr(docsrs, doc(cfg(feature = "reqwest-middleware")))]
pub use adapters::reqwest_middleware;
pub use budget::RetryBudget;
pub use cancel_on_drop::{CancelOnDrop, CancelOnDropFuture, CancelOnDropLayer};
pub use error::{Error, Hint};
pub use future::PollFuture;
pub use job::{Job, Submitted};
pub use layer::PollLayer;
pub use pending_job::PendingJob;
pub use policy::{
    ext::PollPolicyExt, hop::Hop, poll_policy::PollPolicy, refusal::Refusal,
    standard::StandardPolicy,
};
pub use progress::{PollProgress, PollUpdate, Update};
pub use request::{DoNotWait, PreferAsync, Resubmit, StopSignal, is_of_one_message};
pub use service::PollService;
