//! The state that all commands share.

use bytes::Bytes;
use http::{HeaderMap, Uri};
use http_body::Body;
use hyper::body::Incoming;
use tower::{BoxError, Layer};
use tower_poll::{Error, Job, PendingJob, PollLayer};

use super::advice::advice;
use crate::{
    arguments::{Connection, Given},
    client::Pace,
    exchange::LastExchange,
    exit::Failure,
    job::Slot,
    progress::Screen,
    request::{Whole, headers},
    transport::{Transport, client},
};

type ResumedJob = Job<Transport<Whole>, Whole, Incoming, Pace>;

/// The state that all commands share.
#[derive(Clone, Debug)]
pub(super) struct Session {
    pub(super) connection: Connection,
    pub(super) screen: Screen,
    /// The job to resume if the command fails.
    pub(super) slot: Slot,
    pub(super) last: LastExchange,
    /// The headers of a resumed job's polls.
    pub(super) headers: HeaderMap,
}

impl Session {
    /// Creates a session. `user` is the user in the URL.
    pub(super) fn new(connection: &Connection, user: Option<&String>) -> Self {
        let user = connection.user.as_ref().or(user);
        Self {
            connection: connection.clone(),
            screen: Screen::new(connection.silent),
            slot: Slot::default(),
            last: LastExchange::default(),
            headers: headers(
                &connection.headers,
                &connection.keep_header,
                user.map(String::as_str),
                None,
            ),
        }
    }

    /// Creates a client for a submission to `origin`, or for its job.
    pub(super) fn client<B>(&self, origin: &Uri) -> Result<Transport<B>, Failure>
    where
        B: Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<BoxError>,
    {
        let shown = self.connection.verbose.then(|| self.screen.clone());
        client(&self.connection, origin, shown, self.last.clone())
    }

    /// Resumes the job of the command line.
    pub(super) fn resume_given(
        &self,
        given: &Given,
        layer: PollLayer<Pace>,
    ) -> Result<ResumedJob, Failure> {
        // A certificate is presented to the origin of a job even if its polls
        // have lost their credentials.
        if self.connection.cert.is_some()
            || (self.connection.has_credentials() && given.job.keeps_credentials())
        {
            given.job.confirm(&given.trust_origin)?;
        }
        self.resume(&self.job(given), layer)
    }

    /// Returns the job of the command line.
    pub(super) fn job(&self, given: &Given) -> PendingJob {
        let dialect = self.connection.dialects().next();
        given.job.job(dialect.as_deref())
    }

    /// Resumes a job.
    pub(super) fn resume(
        &self,
        job: &PendingJob,
        layer: PollLayer<Pace>,
    ) -> Result<ResumedJob, Failure> {
        self.resume_with(job, layer, &self.headers)
    }

    /// Resumes a job whose polls have these headers.
    pub(super) fn resume_with(
        &self,
        job: &PendingJob,
        layer: PollLayer<Pace>,
        headers: &HeaderMap,
    ) -> Result<ResumedJob, Failure> {
        layer
            .layer(self.client(job.origin())?)
            .resume(job, headers)
            .map_err(|error| self.failure(error))
    }

    /// Converts the call's error to a failure, with further lines about it.
    pub(super) fn failure(&self, error: Error) -> Failure {
        let notes = advice(&error, &self.connection);
        let mut failure = Failure::of_call(error);
        failure.notes = notes;
        failure
    }
}
