//! Decisions about polls: the delay before each, and refusals.
//!
//! A [`PollPolicy`] is called once per pending answer. It gets the answer's
//! head and both URLs as a [`Hop`], and returns a delay or a [`Refusal`]. Once
//! a poll is due, it may add headers and extensions.
//!
//! [`StandardPolicy`] is the default of a layer. Other policies are built from
//! the adapters of [`PollPolicyExt`], read from left to right: each adapter
//! changes the result of the previous one.
//!
//! ```
//! use std::time::Duration;
//! use tower_poll::policy::{Jitter, PollPolicyExt, ServerDelay};
//! use tower_poll::PollLayer;
//!
//! let policy = ServerDelay::new()
//!     .clamp(Duration::from_millis(200)..=Duration::from_secs(10))
//!     .jitter(Jitter::default())
//!     .same_origin()
//!     .refuse_private_addresses();
//! let layer = PollLayer::with_policy(policy);
//! ```
//!
//! The layer's own limits hold with every policy: the deadline, the number of
//! polls, and that credentials go to the submission's origin only.

mod adapters;
mod ext;
mod function;
mod guard;
mod hop;
mod jitter;
mod poll_policy;
mod private_addresses;
mod refusal;
mod server_delay;
mod standard;

pub use self::{
    adapters::{And, Clamp, Prepare},
    ext::PollPolicyExt,
    function::{PolicyFn, policy_fn},
    guard::Guarded,
    hop::Hop,
    jitter::{Jitter, Jittered},
    poll_policy::PollPolicy,
    refusal::Refusal,
    server_delay::ServerDelay,
    standard::StandardPolicy,
};

#[cfg(test)]
mod tests;
