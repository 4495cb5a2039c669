//! The connection to the server or the cluster.

mod call;
mod connection;
mod failure;
mod reply;
mod sentinel;
mod target;

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures_util::future::join_all;
use redis::{Cmd, Pipeline, RedisError, RedisResult, Value};
use tokio::time::{sleep, timeout};
use tower_async_job_core::StoreError;

pub(crate) use self::{
    call::Call, connection::Connection, failure::store_error, reply::Reply, sentinel::Sentinel,
    target::Target,
};
use self::{
    connection::Work,
    failure::{Failed, Fate},
};
use crate::value::{list, unexpected};

/// The time between two attempts at a server that cannot answer yet.
const PAUSE: Duration = Duration::from_millis(20);

/// The connections to the server, each of which is replaced when it breaks.
///
/// All calls for one job use the same, so that the server performs them in their order. More than
/// one is of use since the server takes only 16 KiB from each connection before it flushes and
/// answers.
pub(crate) struct Link {
    target: Target,
    /// The time within which every call ends.
    timeout: Duration,
    lanes: Vec<Lane>,
    /// The numbers of round trips, for tests of budgets.
    trips: Mutex<BTreeMap<&'static str, u64>>,
}

/// A connection that many calls share.
#[derive(Default)]
struct Lane {
    current: Mutex<Current>,
    connecting: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Current {
    number: u64,
    /// The number of changes of the master at that time.
    changes: u64,
    connection: Option<Connection>,
}

impl Link {
    /// Creates a link with this number of connections, at least one.
    pub(crate) fn new(target: Target, timeout: Duration, connections: usize) -> Self {
        Self {
            target,
            timeout,
            lanes: (0..connections).map(|_| Lane::default()).collect(),
            trips: Mutex::default(),
        }
    }

    /// Returns the number of connections.
    pub(crate) const fn connections(&self) -> usize {
        self.lanes.len()
    }

    pub(crate) fn target(&self) -> &Target {
        &self.target
    }

    /// Runs a script. It is repeated if the server could not run it, and if the connection broke,
    /// since no repeat of a script does any harm.
    pub(crate) async fn run(&self, call: &Call) -> Result<Value, StoreError> {
        self.count(call.name());
        let answer = self.run_together(std::slice::from_ref(call)).await;
        answer.map_err(StoreError::from)
    }

    /// Runs scripts, which are sent one after another without waiting for their answers.
    pub(crate) async fn run_all(&self, calls: &[Call]) -> Vec<Result<Value, StoreError>> {
        if let Some(call) = calls.first() {
            self.count(call.name());
        }
        let runs = calls.iter().map(|call| async {
            let answer = self.run_together(std::slice::from_ref(call)).await;
            answer.map_err(StoreError::from)
        });
        join_all(runs).await
    }

    /// Changes jobs by one run of the script of these calls, and returns the answer to each.
    pub(crate) async fn change(&self, calls: &[Call]) -> Vec<Result<Value, StoreError>> {
        let answer = match self.run_together(calls).await {
            // One of them may be at fault, and a repeat of the others does no harm.
            Err(Failed::Refused(_)) if calls.len() > 1 => {
                let alone = calls.chunks(1).map(|call| self.change_one(call));
                return join_all(alone).await;
            }
            answer => answer.map_err(StoreError::from).and_then(list),
        };
        match answer {
            Ok(answers) if answers.len() == calls.len() => answers.into_iter().map(Ok).collect(),
            Ok(_) => calls.iter().map(|_| Err(unexpected())).collect(),
            Err(error) => calls.iter().map(|_| Err(error.clone())).collect(),
        }
    }

    async fn change_one(&self, call: &[Call]) -> Result<Value, StoreError> {
        let answers = list(self.run_together(call).await?)?;
        answers.into_iter().next().ok_or_else(unexpected)
    }

    /// Runs calls of one script together, on the connection of the first.
    async fn run_together(&self, calls: &[Call]) -> Result<Value, Failed> {
        let lane = &self.lanes[calls[0].spread() % self.lanes.len()];
        self.attempt(lane, Work::Script(calls)).await
    }

    /// Sends a command, which may be repeated.
    pub(crate) async fn send(&self, command: &Cmd) -> Result<Value, StoreError> {
        let lane = &self.lanes[0];
        let answer = self.attempt(lane, Work::Command(command)).await;
        answer.map_err(StoreError::from)
    }

    /// Sends reads one after another to the master of their first key.
    pub(crate) async fn read_all(&self, reads: &Pipeline) -> Result<Vec<Value>, StoreError> {
        list(self.attempt(&self.lanes[0], Work::Reads(reads)).await?)
    }

    /// Sends commands one after another to the server of their first key. They may be repeated.
    pub(crate) async fn send_all(&self, commands: &Pipeline) -> Result<Vec<Value>, StoreError> {
        list(
            self.attempt(&self.lanes[0], Work::Commands(commands))
                .await?,
        )
    }

    /// Notes that the server is another one, so that all links connect again. Connections to a
    /// cluster learn of its masters themselves.
    pub(crate) fn note_other_server(&self) {
        if !self.target.is_cluster {
            self.target.note_change(self.target.changes());
        }
    }

    /// Returns the numbers of round trips, by the names of scripts and those that were counted.
    pub(crate) fn trips(&self) -> BTreeMap<&'static str, u64> {
        let trips = self.trips.lock();
        trips.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Counts a round trip.
    pub(crate) fn count(&self, name: &'static str) {
        let trips = self.trips.lock();
        *trips
            .unwrap_or_else(PoisonError::into_inner)
            .entry(name)
            .or_default() += 1;
    }

    async fn attempt(&self, lane: &Lane, work: Work<'_>) -> Result<Value, Failed> {
        let (mut used, mut latest) = (0, None::<RedisError>);
        let attempts = async {
            loop {
                let changes = self.target.changes();
                let error = match lane.connection(&self.target, self.timeout).await {
                    Ok((number, mut connection)) => {
                        used = number;
                        match connection.perform(work).await {
                            Ok(answer) => return Ok(answer),
                            Err(error) => error,
                        }
                    }
                    Err(error) => error,
                };
                if failure::is_of_replica(&error) {
                    self.target.note_change(changes);
                }
                match failure::fate(&error) {
                    Fate::Final => return Err(Failed::Refused(store_error(error))),
                    Fate::Reconnect => lane.replace(used),
                    Fate::Repeat => {}
                }
                latest = Some(error);
                sleep(PAUSE).await;
            }
        };
        match timeout(self.timeout, attempts).await {
            Ok(result) => result,
            Err(_) => {
                // It may be half open.
                lane.replace(used);
                Err(Failed::Unanswered(latest.map_or_else(
                    || StoreError::unavailable("the server did not answer in time"),
                    StoreError::unavailable,
                )))
            }
        }
    }
}

impl Lane {
    /// Returns the connection and its number, and connects if there is none.
    async fn connection(
        &self,
        target: &Target,
        timeout: Duration,
    ) -> RedisResult<(u64, Connection)> {
        if let Some(current) = self.current(target) {
            return Ok(current);
        }
        let _one = self.connecting.lock().await;
        if let Some(current) = self.current(target) {
            return Ok(current);
        }
        let changes = target.changes();
        let connection = target.connect(timeout).await?;
        let mut current = self.lock();
        current.number += 1;
        current.changes = changes;
        current.connection = Some(connection.clone());
        Ok((current.number, connection))
    }

    /// Returns the connection, unless the master has changed since.
    fn current(&self, target: &Target) -> Option<(u64, Connection)> {
        let current = self.lock();
        let connection = current.connection.clone()?;
        (current.changes == target.changes()).then_some((current.number, connection))
    }

    /// Lets the next call connect again, unless another one did.
    fn replace(&self, number: u64) {
        let mut current = self.lock();
        let broken = (current.number == number)
            .then(|| current.connection.take())
            .flatten();
        drop(current);
        drop(broken);
    }

    fn lock(&self) -> MutexGuard<'_, Current> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link")
            .field("target", &self.target)
            .finish_non_exhaustive()
    }
}
