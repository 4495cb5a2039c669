//! Jobs that are polled step by step.

use std::{
    fmt,
    future::poll_fn,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::{Duration, SystemTime},
};

use futures_core::Stream;
use http::{HeaderMap, Request, Response, Version};
use http_body::Body;
use tower::{Service, ServiceExt};

use crate::{
    client::Client,
    config::Shared,
    dialect::Interim,
    error::{Error, Kind},
    pending_job::PendingJob,
    policy::{poll_policy::PollPolicy, standard::StandardPolicy},
    polling::{BoxPolling, Polling},
    progress::{PollUpdate, Update},
    request::{KeptText, Sent},
    session::{Clock, Session},
};

/// The outcome of [`PollService::submit`](crate::PollService::submit). There
/// is no third case.
///
/// ```no_run
/// use tower_poll::Submitted;
/// # type Client = tower::util::BoxCloneService<http::Request<String>, http::Response<String>, tower::BoxError>;
/// # async fn example(submitted: Submitted<Client, String, String>) -> Result<(), tower_poll::Error> {
/// let response = match submitted {
///     Submitted::Final(response) => response,
///     Submitted::Pending(job) => job.wait().await?,
/// };
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub enum Submitted<S, B, R, P = StandardPolicy>
where
    S: Service<Request<B>>,
{
    /// The request was answered at once.
    Final(Response<R>),
    /// The request was accepted as a job.
    Pending(Job<S, B, R, P>),
}

/// A job to be polled step by step.
///
/// Nothing happens without a call: of [`next`](Self::next), which it offers as
/// a [`Stream`] too, of [`poll_now`](Self::poll_now), or of
/// [`wait`](Self::wait), which polls to the end. The layer's deadline, limit
/// of polls and policy hold. Dropping it does not affect the job.
///
/// Until the first call, the body of the answer to the submission is not read,
/// and keeps its HTTP/1 connection. To keep a job for long, keep its
/// [`pending`](Self::pending) form.
///
/// `Client<B, R>` in its bounds is any cloneable [`Service`] from `Request<B>` to
/// `Response<R>` with an error that converts to a [`BoxError`](tower::BoxError).
///
/// ```no_run
/// use tower_poll::{Job, Update};
/// # type Client = tower::util::BoxCloneService<http::Request<String>, http::Response<String>, tower::BoxError>;
/// # async fn example(mut job: Job<Client, String, String>) -> Result<(), tower_poll::Error> {
/// while let Some(update) = job.next().await {
///     match update? {
///         Update::Pending(update) => println!("{:?}", update.progress()),
///         Update::Final(response) => println!("{}", response.status()),
///     }
/// }
/// # Ok(())
/// # }
/// ```
#[must_use = "nothing is polled unless it is asked to"]
pub struct Job<S, B, R, P = StandardPolicy>
where
    S: Service<Request<B>>,
{
    /// `None` once the final response or an error has been given.
    polling: Option<BoxPolling<S, B, R, P>>,
    /// The job at the start, and at the end.
    pending: Box<PendingJob>,
    /// The first pending answer, if it has been read already.
    read: Option<Box<PollUpdate>>,
}

impl<S: Client<B, R>, B: Default, R: Body, P: PollPolicy + Clone> Job<S, B, R, P> {
    /// Waits until it is known whether there is a job.
    pub(crate) async fn begin(
        mut polling: BoxPolling<S, B, R, P>,
    ) -> Result<Submitted<S, B, R, P>, Error> {
        polling.as_mut().step();
        polling.as_mut().include_present();
        let mut read = None;
        if !polling.is_waiting() {
            match poll_fn(|cx| polling.as_mut().poll_event(cx)).await? {
                Update::Final(response) => return Ok(Submitted::Final(response)),
                Update::Pending(update) => read = Some(Box::new(update)),
            }
        }
        let pending = polling.job().expect("a pending answer has been taken in");
        Ok(Submitted::Pending(Self {
            polling: Some(polling),
            pending: Box::new(pending),
            read,
        }))
    }

    pub(crate) fn resume(
        service: S,
        shared: Arc<Shared<P>>,
        job: &PendingJob,
        headers: &HeaderMap,
    ) -> Result<Self, Error> {
        let clock = Clock::start_now();
        let now = clock.start();
        let mut kept = KeptText::new();
        kept.put_headers(headers, &shared.config.keep);
        let sent = Sent {
            headers: kept.share().2,
            method: job.method.clone(),
            version: Version::default(),
            at: now,
            caller: None,
        };
        let session = Session::resume(job, sent, shared, clock)
            .ok_or_else(|| Error::new(Kind::UnknownDialect).with_pending_job(Some(job.clone())))?;
        let mut polling = Polling::begin(Box::new_uninit(), service, session, now);
        let interim = Interim {
            retry_after: Some(left_until(job.due, clock.wall(now))),
            state: job.state,
            ..Interim::at(job.url.clone())
        };
        polling
            .as_mut()
            .resume(job, interim, now)
            .map_err(|error| error.with_pending_job(Some(job.clone())))?;
        polling.as_mut().step();
        Ok(Self {
            polling: Some(polling),
            pending: Box::new(job.clone()),
            read: None,
        })
    }

    /// The present state of the job, to be stored or
    /// [resumed](crate::PollService::resume).
    #[must_use]
    pub fn pending(&self) -> PendingJob {
        let polling = self.polling.as_ref();
        polling
            .and_then(|polling| polling.job())
            .unwrap_or_else(|| PendingJob::clone(&self.pending))
    }

    /// Sends the next poll when it is due, and returns its outcome. The first
    /// call returns the answer to the submission. `None` after the final
    /// response or an error.
    ///
    /// Cancel safe: the next call continues where a dropped one stopped.
    ///
    /// # Errors
    ///
    /// Fails as a call does. The error of a job that goes on has it as its
    /// [`pending_job`](Error::pending_job).
    pub async fn next(&mut self) -> Option<Result<Update<R>, Error>> {
        poll_fn(|cx| self.poll_update(cx)).await
    }

    /// Like [`next`](Self::next), but sends the poll at once, without the
    /// delay that the server asked for.
    ///
    /// Cancel safe: dropped, it goes on from there when called again.
    ///
    /// # Errors
    ///
    /// Fails as [`next`](Self::next) does.
    pub async fn poll_now(&mut self) -> Option<Result<Update<R>, Error>> {
        self.read = None;
        if let Some(polling) = &mut self.polling {
            polling.as_mut().hasten();
        }
        self.next().await
    }

    /// Polls until the final response is there.
    ///
    /// # Errors
    ///
    /// Fails as a call does; also after the final response has been given.
    pub async fn wait(mut self) -> Result<Response<R>, Error> {
        loop {
            match self.next().await {
                Some(Ok(Update::Final(response))) => return Ok(response),
                Some(Ok(Update::Pending(_))) => {}
                Some(Err(error)) => return Err(error),
                None => return Err(Error::new(Kind::Stopped).with_pending_job(Some(*self.pending))),
            }
        }
    }

    /// Cancels the job on the server, by DELETE of its URL. Gives the server's
    /// answer as it is. Usual are 202 (it is being cancelled), 204 (it had
    /// ended, and its result is dropped), 404 and 410 (it is gone).
    ///
    /// After the future is dropped, it is unknown whether the job is
    /// cancelled.
    ///
    /// # Errors
    ///
    /// Fails if the service beneath does. Fails without a request
    /// ([`is_not_cancellable`](Error::is_not_cancellable)) after the final
    /// response or an error has been given, and where the URL may not be that
    /// of a job: see
    /// [`StopSignal::cancel_remotely`](crate::StopSignal::cancel_remotely).
    pub async fn cancel(self) -> Result<Response<R>, Error> {
        let cancellation = self
            .polling
            .as_ref()
            .and_then(|polling| polling.cancellation());
        let Some((service, request)) = cancellation else {
            return Err(Error::new(Kind::NotCancellable).with_pending_job(Some(self.pending())));
        };
        let answer = service.oneshot(request).await;
        answer.map_err(|error| {
            Error::new(Kind::Poll)
                .with_source(error)
                .with_pending_job(Some(self.pending()))
        })
    }

    fn poll_update(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Update<R>, Error>>> {
        if let Some(update) = self.read.take() {
            return Poll::Ready(Some(Ok(Update::Pending(*update))));
        }
        let Some(polling) = &mut self.polling else {
            return Poll::Ready(None);
        };
        let update = ready!(polling.as_mut().poll_event(cx));
        if !matches!(update, Ok(Update::Pending(_))) {
            *self.pending = self.pending();
            self.polling = None;
        }
        Poll::Ready(Some(update))
    }
}

impl<S: Client<B, R>, B: Default, R: Body, P: PollPolicy + Clone> Stream for Job<S, B, R, P> {
    type Item = Result<Update<R>, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_update(cx)
    }
}

/// Returns the time until a poll that is due then.
fn left_until(due: Option<SystemTime>, now: SystemTime) -> Duration {
    due.and_then(|due| due.duration_since(now).ok())
        .unwrap_or_default()
}

impl<S: Service<Request<B>>, B, R, P> fmt::Debug for Job<S, B, R, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Job")
            .field("is_over", &self.polling.is_none())
            .finish_non_exhaustive()
    }
}
