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

/// The state that all commands work with.
#[derive(Clone, Debug)]
pub(super) struct Session {
    pub(super) connection: Connection,
    pub(super) screen: Screen,
    /// The job to go on with if the command fails.
    pub(super) slot: Slot,
    pub(super) last: LastExchange,
    /// The headers that polls of a resumed job are made from.
    pub(super) headers: HeaderMap,
}

impl Session {
    /// `user` is that of the URL.
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

    /// A client for a submission to `origin`, or for the job that it became.
    pub(super) fn client<B>(&self, origin: &Uri) -> Result<Transport<B>, Failure>
    where
        B: Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<BoxError>,
    {
        let shown = self.connection.verbose.then(|| self.screen.clone());
        client(&self.connection, origin, shown, self.last.clone())
    }

    /// Goes on with the job of a command line.
    pub(super) fn resume_given(
        &self,
        given: &Given,
        layer: PollLayer<Pace>,
    ) -> Result<ResumedJob, Failure> {
        // A certificate is shown to the origin of a job even if the headers of
        // its polls have lost their credentials.
        if self.connection.cert.is_some()
            || (self.connection.has_credentials() && given.job.keeps_credentials())
        {
            given.job.confirm(&given.trust_origin)?;
        }
        self.resume(&self.job(given), layer)
    }

    /// The job of a command line.
    pub(super) fn job(&self, given: &Given) -> PendingJob {
        let dialect = self.connection.dialects().next();
        given.job.job(dialect.as_deref())
    }

    /// Goes on with a job.
    pub(super) fn resume(
        &self,
        job: &PendingJob,
        layer: PollLayer<Pace>,
    ) -> Result<ResumedJob, Failure> {
        layer
            .layer(self.client(job.origin())?)
            .resume(job, &self.headers)
            .map_err(|error| self.failure(error))
    }

    /// The failure that an error of the call is, with further lines about it.
    pub(super) fn failure(&self, error: Error) -> Failure {
        let notes = advice(&error, &self.connection);
        let mut failure = Failure::of_call(error);
        failure.notes = notes;
        failure
    }
}
