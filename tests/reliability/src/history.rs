//! The events of a round, as the harness has observed them.

use std::{
    fmt::{self, Write as _},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use http_polling::JobState;

use crate::scenario::Scenario;

/// The number of a process within its round.
pub(crate) type ProcessId = u32;

/// An event.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Event {
    Started(ProcessId),
    /// SIGKILL, just before it is sent.
    Killed(ProcessId, Scenario),
    /// SIGSTOP.
    Stopped(ProcessId),
    /// SIGTERM, also at the end of the round, where it is no fault.
    Terminated(ProcessId, Option<Scenario>),
    /// A run was stopped, since its process was too slow to renew its lease.
    LeaseLost(ProcessId),
    /// The clock of a process is shifted.
    Shifted(ProcessId),
    /// A fault of the links of a process, or of the servers of all, begins.
    Disturbed(Option<ProcessId>, Scenario),
    /// The fault is over.
    Healed(Option<ProcessId>),
    /// A backup of the store begins.
    BackedUp,
    /// The store, which is down, returns to the backup, and starts on it.
    Restored,
    Ended {
        process: ProcessId,
        /// It has ended successfully, or by SIGKILL or SIGTERM.
        is_clean: bool,
    },
    /// A handler was called.
    Run(Run),
    /// A handler has returned the head of its answer.
    Returned {
        process: ProcessId,
        number: u64,
    },
    /// A client has received an answer.
    Answered(Answer),
    /// A poll that another process held was answered with the result of a call.
    Woken {
        number: u64,
        /// There were notifications.
        is_notified: bool,
    },
    /// The receiver of a notification has it.
    Notified(Notice),
    /// A client is about to send DELETE to its job.
    CancelAsked {
        number: u64,
    },
    /// The DELETE was answered.
    CancelAnswered {
        number: u64,
        status: u16,
    },
    /// A client is done with a call.
    Settled {
        number: u64,
    },
}

/// A run of a handler.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Run {
    /// The process that has the job: a node, or a gateway.
    pub(crate) process: ProcessId,
    /// The number of the call.
    pub(crate) number: u64,
    pub(crate) attempt: u32,
    pub(crate) nonce: String,
    pub(crate) handle: String,
    /// The request as the server behind the gateway has received it.
    pub(crate) received: Option<Received>,
}

/// A request that the server behind a gateway has received.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Received {
    /// The process of the server.
    pub(crate) by: ProcessId,
    pub(crate) key: Option<String>,
}

/// A notification of the end of a job.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Notice {
    /// The number of the call.
    pub(crate) number: u64,
    pub(crate) handle: String,
    pub(crate) state: JobState,
}

/// An answer to a submission or a poll.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Answer {
    /// The number of the call.
    pub(crate) number: u64,
    /// The time at which the request was sent.
    pub(crate) asked: Duration,
    pub(crate) is_poll: bool,
    pub(crate) status: u16,
    /// The id of the job, if there is one.
    pub(crate) job: Option<String>,
    pub(crate) state: Option<JobState>,
    /// The nonce of a result.
    pub(crate) nonce: Option<String>,
    /// It says that the end of the job is to be notified of.
    pub(crate) has_callback: bool,
    /// The body of a result is whole.
    pub(crate) is_whole: bool,
}

/// The history of a round.
#[derive(Debug)]
pub(crate) struct History {
    begun: Instant,
    events: Mutex<Vec<(Duration, Event)>>,
}

impl History {
    pub(crate) fn new() -> Self {
        Self {
            begun: Instant::now(),
            events: Mutex::default(),
        }
    }

    pub(crate) fn push(&self, event: Event) {
        let mut events = self.lock();
        events.push((self.now(), event));
    }

    /// Adds an event, if there is one.
    pub(crate) fn extend(&self, event: Option<Event>) {
        if let Some(event) = event {
            self.push(event);
        }
    }

    /// Returns the time since the beginning.
    pub(crate) fn now(&self) -> Duration {
        self.begun.elapsed()
    }

    /// Returns all events, with the time since the beginning.
    pub(crate) fn events(&self) -> Vec<(Duration, Event)> {
        self.lock().clone()
    }

    /// Returns the number of events.
    pub(crate) fn len(&self) -> usize {
        self.lock().len()
    }

    /// Returns the first event from that number on for which the function returns something.
    pub(crate) fn find<T>(&self, from: usize, find: impl Fn(&Event) -> Option<T>) -> Option<T> {
        let events = self.lock();
        events[from..].iter().find_map(|(_, event)| find(event))
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(Duration, Event)>> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Display for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, event) in &*self.lock() {
            writeln!(f, "{:9.3} {event:?}", at.as_secs_f64())?;
        }
        f.write_char('\n')
    }
}
