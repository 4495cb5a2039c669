//! Cancelling a job by DELETE.

use std::{pin::Pin, time::Duration};

use http::Request;
use http_body::Body;
use tokio::time::Instant;
use tower::util::Oneshot;

use super::phase::{Phase, Polling};
use crate::{
    client::Client,
    error::{Error, Kind},
    policy::poll_policy::PollPolicy,
    request::Stop,
};

/// The time that the answer to a DELETE may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

impl<S: Client<B, R>, B: Default, R: Body, P: PollPolicy> Polling<S, B, R, P> {
    /// Returns whether there may be a job to cancel, and the call has not
    /// ended. Calls no function of the user's.
    pub(crate) fn may_be_cancelled(&self) -> bool {
        !self.is_failing() && self.session.is_cancellable()
    }

    /// Returns the request that cancels the job, and the service for it;
    /// `None` if no request would cancel it.
    pub(crate) fn cancellation(&self) -> Option<(S, Request<B>)> {
        let request = self.session.cancel(Instant::now())?;
        Some((self.service.clone(), request))
    }

    /// Acts on the stop signal of the caller.
    pub(super) fn stop(self: Pin<&mut Self>, stop: Stop) -> Result<(), Error> {
        if stop == Stop::Waiting || !self.session.is_polling() {
            return Err(Error::new(Kind::Stopped));
        }
        let Some((service, request)) = self.cancellation() else {
            return Err(Error::new(Kind::NotCancellable));
        };
        let future = Oneshot::new(service, request);
        let end = self.session.deadline().min(Instant::now() + PATIENCE);
        self.project().phase.set(Phase::Cancelling { future, end });
        Ok(())
    }
}
