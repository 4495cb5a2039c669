//! The handover of a run's end to the client that waits for it inline.

use tokio::{sync::oneshot, time::Instant};
use tower_async_job_core::{Lease, Outcome};

/// The end of a run, as it is stored.
pub(crate) struct Ended {
    pub(crate) lease: Lease,
    pub(crate) outcome: Outcome,
}

/// The client of a submission with a key, which waits for its end in this process.
pub(crate) struct Waiting {
    /// The end of its inline wait. The job is polled only after it.
    pub(super) until: Instant,
    // Boxed, since it is kept as long as the run.
    ended: oneshot::Sender<Box<Ended>>,
}

impl Waiting {
    /// Returns a client that waits until then, and the receiver of the end. It fails if the run ends
    /// otherwise than by an outcome.
    pub(crate) fn new(until: Instant) -> (Self, oneshot::Receiver<Box<Ended>>) {
        let (ended, receiver) = oneshot::channel();
        (Self { until, ended }, receiver)
    }

    pub(super) fn hand_over(self, ended: Ended) {
        if !self.ended.is_closed() {
            let _ = self.ended.send(Box::new(ended));
        }
    }
}
