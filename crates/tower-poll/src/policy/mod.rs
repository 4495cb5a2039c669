//! How long to wait before a poll, and whether to make it at all.
//!
//! A [`PollPolicy`] is asked once per pending answer. It sees the answer's
//! head and both URLs as a [`Hop`], and either names a delay or refuses with
//! a [`Refusal`]. Once a poll is due, it may still put headers and extensions
//! on it.
//!
//! [`StandardPolicy`] is what a layer uses unless told otherwise. A policy of
//! one's own is best put together from the pieces of [`PollPolicyExt`], read
//! from left to right: each adapter judges what the one before it said.
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
//! Whatever the policy says, the layer's own limits hold: the deadline, the
//! number of polls, and that credentials go to the submission's origin only.

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
