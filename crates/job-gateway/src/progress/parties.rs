//! The servers that deliver results later: their reports, and their results.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response, header::EXPECT};
use http_body::Body;
use tokio::{
    sync::oneshot,
    time::{Instant, sleep},
};
use tower::BoxError;
use tower_async_job::{AsyncJobLayer, OutsideError, OutsideRun};

use super::{
    paced::{Digest, INTERVAL, Paced, Way},
    party::Party,
    refusal::Refusal,
    report::Report,
    result::{self, Arriving},
    runs::State,
};
use crate::{config::Route, fields::remove_beginning};

/// The time for which a request waits for the response that it has overtaken.
const PATIENCE: Duration = Duration::from_secs(5);

/// The time until a request is tried again, at first and at most.
const PAUSE: (Duration, Duration) = (Duration::from_millis(10), Duration::from_millis(500));

/// The number of the latest deliveries that are known, so that they can be repeated.
const KNOWN: usize = 4096;

/// Finds a route by its name.
type Routes = dyn Fn(&str) -> Option<Arc<Route>> + Send + Sync;

/// The servers that deliver results later. Clones share them.
#[derive(Clone)]
pub(crate) struct Parties(Arc<Shared>);

struct Shared {
    jobs: AsyncJobLayer,
    routes: Box<Routes>,
    paced: Paced,
    delivered: Mutex<VecDeque<Digest>>,
}

impl Parties {
    /// Creates the servers of these jobs, whose routes are found by their names.
    pub(crate) fn new(
        jobs: AsyncJobLayer,
        routes: impl Fn(&str) -> Option<Arc<Route>> + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(Shared {
            jobs,
            routes: Box::new(routes),
            paced: Paced::default(),
            delivered: Mutex::default(),
        }))
    }

    /// Passes a report on to the job, and renews the time of the server. Returns the state of the job.
    /// Further reports within a tenth of a second are written together.
    pub(super) async fn report(&self, party: &Party, report: Report) -> Result<State, Refusal> {
        let server = party.outside().token;
        let way = self.0.paced.enter(server, report);
        match way.map_err(|error| Refusal::Invalid(error.to_string()))? {
            Way::Alone(report) => self.write(party, report).await,
            Way::Joined => Ok(State::Running(Some(party.left()))),
            Way::First(report) => {
                let (sender, written) = oneshot::channel();
                // It continues if the connection is lost.
                tokio::spawn(self.clone().write_all(party.clone(), report, sender));
                written.await.unwrap_or(Err(Refusal::Unavailable))
            }
        }
    }

    /// Writes a report, and those that come soon after it.
    async fn write_all(
        self,
        party: Party,
        first: Report,
        sender: oneshot::Sender<Result<State, Refusal>>,
    ) {
        let (server, paced) = (party.outside().token, &self.0.paced);
        let mut written = self.write(&party, first).await;
        let is_running =
            |written: &Result<State, Refusal>| matches!(written, Ok(State::Running(_)));
        if !is_running(&written) {
            paced.forget(server);
            let _ = sender.send(written);
            return;
        }
        paced.written(server);
        let _ = sender.send(written);
        loop {
            sleep(INTERVAL).await;
            let Some(next) = paced.next(server) else {
                return;
            };
            written = self.write(&party, next).await;
            if !is_running(&written) {
                return paced.forget(server);
            }
        }
    }

    async fn write(&self, party: &Party, report: Report) -> Result<State, Refusal> {
        let run = self.run(party);
        let mut patience = Patience::new();
        loop {
            let report = report.clone();
            let reported = run.report(party.time(), |job| report.pass_on(job)).await;
            match reported {
                Ok(()) => return Ok(State::Running(Some(party.left()))),
                Err(error) if error.is_cancelled() => return Ok(State::Cancelled),
                Err(error) => patience.pause(error).await?,
            }
        }
    }

    /// Ends the job with the response that a request delivers.
    pub(super) async fn deliver<B>(&self, party: &Party, request: Request<B>) -> Result<(), Refusal>
    where
        B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
    {
        let is_sent = !request.headers().contains_key(EXPECT);
        let response = result::response(request)?;
        let (head, body) = response.into_parts();
        let (body, rest) = Arriving::new(body);
        let delivered = self.record(party, Response::from_parts(head, body)).await;
        if is_sent {
            // A result that is refused, or known already, may not have been read. Otherwise, the server
            // may see its connection reset instead of the answer.
            rest.read().await;
        }
        delivered
    }

    async fn record<B>(&self, party: &Party, mut response: Response<B>) -> Result<(), Refusal>
    where
        B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
    {
        let token = party.outside().token;
        if self.delivered().contains(&token) {
            return Ok(());
        }
        let run = self.run(party);
        let mut patience = Patience::new();
        let mut delivery = loop {
            match run.resume().await {
                Ok(delivery) => break delivery,
                Err(error) => patience.pause(error).await?,
            }
        };
        if let Some(route) = (self.0.routes)(delivery.route()) {
            delivery = delivery.result_limit(route.result_limit);
            if !route.cors_origins.is_empty() {
                remove_beginning(response.headers_mut(), "access-control-allow-");
            }
        }
        delivery.record(response).await?;
        let mut delivered = self.delivered();
        delivered.push_back(token);
        if delivered.len() > KNOWN {
            delivered.pop_front();
        }
        Ok(())
    }

    fn run(&self, party: &Party) -> OutsideRun {
        let token = party.token();
        self.0.jobs.outside(party.handle, party.attempt, token)
    }

    fn delivered(&self) -> MutexGuard<'_, VecDeque<Digest>> {
        let delivered = self.0.delivered.lock();
        delivered.unwrap_or_else(PoisonError::into_inner)
    }
}

/// The patience with a request that has overtaken its response: the job is not its server's yet.
struct Patience {
    pause: Duration,
    end: Instant,
}

impl Patience {
    fn new() -> Self {
        Self {
            pause: PAUSE.0,
            end: Instant::now() + PATIENCE,
        }
    }

    /// Waits until the call is to be made again, unless its error is another one, or it is too late.
    async fn pause(&mut self, error: OutsideError) -> Result<(), OutsideError> {
        let may_pass = error.is_early() || error.is_unknown();
        if !may_pass || Instant::now() + self.pause > self.end {
            return Err(error);
        }
        sleep(self.pause).await;
        self.pause = PAUSE.1.min(self.pause * 2);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
