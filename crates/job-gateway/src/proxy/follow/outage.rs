//! Times in which a server does not answer polls. Its job may continue meanwhile.

use std::time::Duration;

use http::{Response, StatusCode};
use tokio::time::sleep;
use tower_poll::{Error, PendingJob};

use crate::upstream::{self, Incoming, Kind};

/// The longest time until polls are sent again.
const LONGEST: Duration = Duration::from_secs(60);

/// The outage of a server, with the time until it is polled again.
pub(super) struct Outage {
    rest: Duration,
}

impl Default for Outage {
    fn default() -> Self {
        Self {
            rest: Duration::from_secs(1),
        }
    }
}

impl Outage {
    /// Takes the handle of the job out of a response that is not its result. Some servers answer so
    /// with 500 for work that failed, so that is one.
    pub(super) fn take(response: &mut Response<Incoming>) -> Option<PendingJob> {
        let handle = response.extensions_mut().remove::<PendingJob>()?;
        (response.status() != StatusCode::INTERNAL_SERVER_ERROR).then_some(handle)
    }

    /// Waits until the server is polled again: longer each time, and a part of it is random.
    pub(super) async fn rest(&mut self) {
        tracing::warn!(rest = ?self.rest, "the server of a followed job does not answer");
        sleep(self.rest.mul_f64(0.75 + fastrand::f64() / 2.0)).await;
        self.rest = (self.rest * 2).min(LONGEST);
    }

    /// Notes that the server answers.
    pub(super) fn end(&mut self) {
        *self = Self::default();
    }
}

/// Returns the handle of the job in an error of a poll that had no answer, or else the error.
pub(super) fn handle_in(error: Error) -> Result<PendingJob, Error> {
    let cause = std::error::Error::source(&error);
    let cause = cause.and_then(|cause| cause.downcast_ref::<upstream::Error>());
    let is_outage = cause.is_some_and(|cause| {
        matches!(
            cause.kind(),
            Kind::Refused | Kind::ConnectTimeout | Kind::Reset | Kind::Timeout
        )
    });
    match error.pending_job() {
        Some(handle) if is_outage => Ok(handle.clone()),
        _ => Err(error),
    }
}
