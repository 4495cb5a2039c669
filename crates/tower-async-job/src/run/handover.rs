//! The handover of a run's end to the client that waits for it inline, or to the party outside that
//! has delivered the response.

use tokio::{sync::oneshot, time::Instant};
use tower_async_job_core::{Lease, Outcome};

use crate::run::{finish::LEASE_LOST, recording::Unrecorded};

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

/// The end of a run that records the response of an outside party.
pub(crate) struct Delivered {
    /// The state of the job, as far as it is known, or that the lease was lost.
    pub(crate) state: Option<&'static str>,
    /// The reason why the job was given back to the party.
    pub(crate) unrecorded: Option<Unrecorded>,
    /// The job has failed, since the response is too large.
    pub(crate) is_too_large: bool,
}

impl Delivered {
    pub(crate) fn has_lost_lease(&self) -> bool {
        self.state == Some(LEASE_LOST)
    }
}
