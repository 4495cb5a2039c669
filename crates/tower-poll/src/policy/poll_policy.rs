//! The contract of policies.

use std::time::Duration;

use http::request;

use super::{hop::Hop, refusal::Refusal};

/// Decides on the polls of one call.
///
/// The layer holds one value as a template and clones it for each call whose
/// answer may be pending, so that `&mut self` is the state of that call alone.
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
    /// Returns the delay between the pending answer and the poll of `hop`.
    /// Called once per pending answer.
    ///
    /// With a delay of zero the poll is sent at once, without a timer.
    ///
    /// # Errors
    ///
    /// A [`Refusal`] ends the call: no request is made, and the refusal is the
    /// source of the caller's [`Error`](crate::Error).
    fn next(&mut self, hop: &Hop<'_>) -> Result<Duration, Refusal>;

    /// Adds headers and extensions to a poll that is about to be sent, for the
    /// layers beneath. Called once per poll, after the wait. Does nothing by
    /// default.
    ///
    /// They are sent as they are, to every origin of a `hop`.
    fn prepare_poll(&mut self, parts: &mut request::Parts, hop: &Hop<'_>) {
        let _ = (parts, hop);
    }

    /// Returns whether [`prepare_poll`](Self::prepare_poll) is called. True by
    /// default; false saves the layer some copies.
    fn prepares_polls(&self) -> bool {
        true
    }
}
