//! The runs whose servers may report.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use tower_async_job::{CancelReason, JobContext};

use super::{
    party::Party,
    reach::{Reach, local},
    report::{Invalid, Report, check_metadata},
    token::Token,
};

/// The time until a deadline that is not known: the longest that a route may have.
const LONGEST: Duration = Duration::from_secs(30 * 24 * 3600);

/// The runs under way, by the secrets in their URLs. Clones share them.
#[derive(Clone)]
pub(crate) struct Runs(Arc<Shared>);

struct Shared {
    /// The beginning of the URLs for servers on this machine.
    local: String,
    table: Mutex<Table>,
}

struct Table {
    /// The number of the first run: a random one, so that no number is known without a URL.
    first: u64,
    next: u64,
    /// Those under way. The numbers of those that are over are known without a table.
    running: HashMap<u64, Entry>,
}

struct Entry {
    token: Token,
    context: JobContext,
    deadline: Option<SystemTime>,
    /// The bytes of metadata by their keys.
    metadata: HashMap<String, usize>,
}

/// The fate of a run.
pub(super) enum Fate {
    Running(State),
    Over,
    Unknown,
}

/// The state of a run.
pub(super) enum State {
    /// With the time until its deadline.
    Running(Option<Duration>),
    Cancelled,
    /// Its result is stored.
    Done,
}

/// A run, whose URL is known until this is dropped.
pub(crate) struct Run {
    runs: Runs,
    token: Token,
}

impl Runs {
    /// Creates the table of a listener's runs.
    pub(crate) fn new(listener: SocketAddr) -> Self {
        let first = Token::random().number();
        let table = Mutex::new(Table {
            first,
            next: first,
            running: HashMap::new(),
        });
        let local = local(listener);
        Self(Arc::new(Shared { local, table }))
    }

    /// Adds a run.
    pub(crate) fn begin(&self, context: JobContext, deadline: Option<SystemTime>) -> Run {
        let secret = Token::random();
        let mut table = self.table();
        let token = secret.with_number(table.next);
        table.next = Token::following(table.next);
        let entry = Entry {
            token,
            context,
            deadline,
            metadata: HashMap::new(),
        };
        table.running.insert(token.number(), entry);
        drop(table);
        Run {
            runs: self.clone(),
            token,
        }
    }

    /// Returns the fate of a run.
    pub(super) fn fate(&self, token: Token) -> Fate {
        self.table().fate(token)
    }

    /// Passes a report on to the job, unless its run is over.
    ///
    /// # Errors
    ///
    /// Fails without any effect if there is too much metadata.
    pub(super) fn report(&self, token: Token, report: Report) -> Result<Fate, Invalid> {
        let sizes = report.metadata_sizes();
        let mut table = self.table();
        let fate = table.fate(token);
        if let (Fate::Running(_), Some(entry)) = (&fate, table.running.get_mut(&token.number())) {
            entry.count(sizes)?;
            let context = entry.context.clone();
            drop(table);
            report.pass_on(&context);
        }
        Ok(fate)
    }

    /// Returns the number of runs under way.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.table().running.len()
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.0.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn fate(&self, token: Token) -> Fate {
        if let Some(entry) = self.running.get(&token.number()) {
            return match entry.token == token {
                true => entry.fate(),
                false => Fate::Unknown,
            };
        }
        let age = |number: u64| number.wrapping_sub(self.first) & Token::NUMBERS;
        match age(token.number()) < age(self.next) {
            true => Fate::Over,
            false => Fate::Unknown,
        }
    }
}

impl Entry {
    fn fate(&self) -> Fate {
        match self.context.cancel_reason() {
            None => {}
            // The server has a grace.
            Some(CancelReason::Requested) => return Fate::Running(State::Cancelled),
            Some(_) => return Fate::Over,
        }
        let left = self.deadline.map(|deadline| {
            let left = deadline.duration_since(SystemTime::now());
            left.unwrap_or_default()
        });
        Fate::Running(State::Running(left))
    }

    /// Counts the metadata of a report, unless it is too much.
    fn count(&mut self, sizes: HashMap<String, usize>) -> Result<(), Invalid> {
        let replaced = |key: &String| self.metadata.get(key).copied().unwrap_or_default();
        let added: usize = sizes.values().sum();
        let replaced: usize = sizes.keys().map(replaced).sum();
        let kept: usize = self.metadata.values().sum();
        check_metadata(kept - replaced + added)?;
        self.metadata.extend(sizes);
        Ok(())
    }
}

impl Run {
    /// Returns the URL of the run for a server.
    pub(crate) fn url(&self, reach: &Reach) -> String {
        let base = match reach {
            Reach::Local => &*self.runs.0.local,
            Reach::Url(url) => url,
        };
        let mut url = String::with_capacity(base.len() + "/runs/".len() + Token::LENGTH);
        url.push_str(base);
        url.push_str("/runs/");
        self.token.push_to(&mut url);
        url
    }

    /// Returns the server of the run, if it delivers the result later. It may be silent for a time, or
    /// until the deadline.
    pub(crate) fn party(&self, silence: Option<Duration>) -> Party {
        let table = self.runs.table();
        let entry = table.running.get(&self.token.number());
        let (context, deadline) = match entry {
            Some(entry) => (entry.context.clone(), entry.deadline),
            None => (JobContext::inert(), None),
        };
        drop(table);
        let deadline = deadline.unwrap_or_else(|| SystemTime::now() + LONGEST);
        let left = deadline.duration_since(SystemTime::now());
        let silence = silence.unwrap_or(left.unwrap_or_default());
        let job = (context.handle(), context.attempt());
        Party::new(self.token, job, deadline, silence)
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        let ended = self.runs.table().running.remove(&self.token.number());
        // Outside the lock, since its job may have reports that are large.
        drop(ended);
    }
}
