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
//! use tower_poll::{PollLayer, PollPolicyExt, policy::{Jitter, ServerDelay}};
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
//!
//! [`Hop`]: crate::Hop
//! [`PollPolicy`]: crate::PollPolicy
//! [`PollPolicyExt`]: crate::PollPolicyExt
//! [`Refusal`]: crate::Refusal
//! [`StandardPolicy`]: crate::StandardPolicy

mod adapters;
pub(crate) mod ext;
mod function;
mod guard;
pub(crate) mod hop;
mod jitter;
pub(crate) mod poll_policy;
mod private_addresses;
pub(crate) mod refusal;
mod server_delay;
pub(crate) mod standard;

pub use self::{
    adapters::{And, Clamp, Prepare},
    function::{PolicyFn, policy_fn},
    guard::Guarded,
    jitter::{Jitter, Jittered},
    server_delay::ServerDelay,
};

#[cfg(test)]
mod tests;
