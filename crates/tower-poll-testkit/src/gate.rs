//! Gates that hold answers.

use std::sync::Arc;

use tokio::sync::watch;

/// A gate that holds answers until it is opened; see
/// [`Answer::held_by`](crate::Answer::held_by).
///
/// Clones are the same gate. It opens too when the last clone is dropped.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// use http::Request;
/// use tower::ServiceExt;
/// use tower_poll_testkit::{Answer, Gate, Script};
///
/// let gate = Gate::new();
/// let server = Script::new().answer(Answer::ok("done").held_by(&gate)).server();
/// let call = tokio::spawn(server.clone().oneshot(Request::new(())));
/// while server.requests().is_empty() {
///     tokio::task::yield_now().await;
/// }
/// assert!(!call.is_finished());
/// gate.open();
/// assert_eq!(call.await.unwrap().unwrap().status(), 200);
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Gate(Arc<watch::Sender<bool>>);

impl Gate {
    /// Creates a closed gate.
    #[must_use]
    pub fn new() -> Self {
        Self(Arc::new(watch::Sender::new(false)))
    }

    /// Lets all held answers out, and later ones at once.
    pub fn open(&self) {
        self.0.send_replace(true);
    }

    pub(crate) fn side(&self) -> Opening {
        Opening(self.0.subscribe())
    }
}

impl Default for Gate {
    fn default() -> Self {
        Self::new()
    }
}

/// The side of a gate on which answers wait.
#[derive(Clone, Debug)]
pub(crate) struct Opening(watch::Receiver<bool>);

impl Opening {
    /// Waits until the gate is open, or all of its clones are dropped.
    pub(crate) async fn wait(mut self) {
        let _ = self.0.wait_for(|is_open| *is_open).await;
    }
}
