//! The contract of policies.

use std::time::Duration;

use http::request;

use super::{hop::Hop, refusal::Refusal};

/// Decides on the polls of one call.
///
/// The layer holds one value as a template and clones it at the first pending
/// answer of each call, so that `&mut self` is the state of that call alone.
///
/// ```
/// use std::time::Duration;
/// use tower_poll::{Hop, PollPolicy, Refusal};
///
/// /// Ten polls, a second apart.
/// #[derive(Clone)]
/// struct TenSeconds;
///
/// impl PollPolicy for TenSeconds {
///     fn next(&mut self, hop: &Hop<'_>) -> Result<Duration, Refusal> {
///         if hop.poll() > 10 {
///             return Err(Refusal::new("ten polls are enough"));
///         }
///         Ok(Duration::from_secs(1))
///     }
/// }
/// ```
pub trait PollPolicy {
    /// How long to wait before the poll that `hop` tells of, counted from the
    /// pending answer. Called once per pending answer.
    ///
    /// A delay of zero polls at once, without a timer.
    ///
    /// # Errors
    ///
    /// A [`Refusal`] ends the call: no request is made, and the caller gets
    /// an [`Error`](crate::Error) that has the refusal as its source.
    fn next(&mut self, hop: &Hop<'_>) -> Result<Duration, Refusal>;

    /// May add headers and extensions to a poll that is about to be sent, for
    /// the layers beneath. Called once per poll, after the wait. Does nothing
    /// by default.
    ///
    /// What it adds is sent as it is, to whatever origin `hop` leads to.
    fn prepare_poll(&mut self, parts: &mut request::Parts, hop: &Hop<'_>) {
        let _ = (parts, hop);
    }

    /// Whether [`prepare_poll`](Self::prepare_poll) is to be called. True by
    /// default; a policy that leaves polls alone may say no, which saves the
    /// layer some copies.
    fn prepares_polls(&self) -> bool {
        true
    }
}
