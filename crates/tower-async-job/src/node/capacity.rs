//! The places of running and queued requests, and their order.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker, ready},
    time::Duration,
};

use http_polling::ProblemType;
use tokio::time::Instant;
use tower_async_job_core::Principal;

use crate::config::limits::Limits;

/// The places of running and waiting requests, in total and by principal.
///
/// The waiting principals take turns at each place to run that is released, so that one principal's
/// queue never delays another's. Only principals that may run one more have a turn. A queue is
/// indexed by the numbers of its places, so that releasing and leaving cost the same however many
/// wait.
pub(crate) struct Capacity {
    overall: Limits,
    each: Limits,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    running: usize,
    queued: usize,
    tenants: HashMap<Option<Principal>, Tenant>,
    /// The waiting principals that may run one more, in the order of their turns. Empty while a
    /// place is free.
    turns: BTreeMap<u64, Option<Principal>>,
    /// The number of the next turn, or of the next place in a queue.
    next: u64,
    /// The moving average of recent durations of work, in seconds.
    mean: Option<f64>,
}

#[derive(Default)]
struct Tenant {
    running: usize,
    queue: BTreeMap<u64, Arc<Ticket>>,
    /// The number of its queue's places that stand aside.
    aside: usize,
    /// The number of its turn, if it has one.
    turn: Option<u64>,
}

impl Tenant {
    fn queued(&self) -> usize {
        self.queue.len() + self.aside
    }
}

struct Ticket {
    number: u64,
    state: Mutex<Waiting>,
}

#[derive(Default)]
struct Waiting {
    granted: bool,
    waker: Option<Waker>,
}

/// The Retry-After of a node that is full or whose store is unreachable.
pub(crate) const BUSY_RETRY_AFTER: Duration = Duration::from_secs(5);

/// The reason why there is no place, and the time to retry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NoPlace {
    pub(crate) problem: ProblemType,
    pub(crate) retry_after: Duration,
    /// The node shuts down, and the connection is no longer useful.
    pub(crate) is_stopping: bool,
}

impl NoPlace {
    /// The node shuts down: the client should try another.
    pub(crate) const STOPPING: Self = Self {
        problem: ProblemType::CapacityExhausted,
        retry_after: Duration::from_secs(5),
        is_stopping: true,
    };

    /// Returns that there is no place for now.
    pub(crate) fn yet(problem: ProblemType, retry_after: Duration) -> Self {
        Self {
            problem,
            retry_after,
            is_stopping: false,
        }
    }
}

impl Capacity {
    pub(crate) fn new(overall: Limits, each: Limits) -> Self {
        Self {
            overall,
            each,
            state: Mutex::default(),
        }
    }

    /// Takes a place to run, or else a place to wait.
    pub(crate) fn admit(
        self: &Arc<Self>,
        principal: Option<Principal>,
    ) -> Result<Admission, NoPlace> {
        let mut state = self.state();
        let tenant = state.tenants.get(&principal);
        let (own_running, own_queued) =
            tenant.map_or((0, 0), |tenant| (tenant.running, tenant.queued()));
        if principal.is_some() && own_running.saturating_add(own_queued) >= self.each.all() {
            let retry_after =
                state.wait_of(own_queued, self.each.running.min(self.overall.running));
            return Err(NoPlace::yet(ProblemType::QuotaExceeded, retry_after));
        }
        let may_run = principal.is_none() || own_running < self.each.running;
        let place = if may_run && state.running < self.overall.running {
            state.running += 1;
            state.tenant(&principal).running += 1;
            Place::Granted
        } else if state.queued < self.overall.queued {
            state.queued += 1;
            let ticket = Arc::new(Ticket::new(state.number()));
            let tenant = state.tenant(&principal);
            tenant.queue.insert(ticket.number, ticket.clone());
            self.line_up(&mut state, &principal);
            Place::Queued(ticket)
        } else {
            let retry_after = state.wait_of(state.queued, self.overall.running);
            return Err(NoPlace::yet(ProblemType::CapacityExhausted, retry_after));
        };
        Ok(Admission {
            capacity: self.clone(),
            principal,
            place,
        })
    }

    /// Returns the number of free places to run.
    pub(crate) fn free(&self) -> usize {
        self.overall.running.saturating_sub(self.state().running)
    }

    /// Assigns a turn to a waiting principal, if it may run one more and has none.
    fn line_up(&self, state: &mut State, principal: &Option<Principal>) {
        let limit = principal.as_ref().map_or(usize::MAX, |_| self.each.running);
        let number = state.next;
        let Some(tenant) = state.tenants.get_mut(principal) else {
            return;
        };
        if tenant.turn.is_none() && tenant.running < limit && !tenant.queue.is_empty() {
            tenant.turn = Some(number);
            state.next += 1;
            state.turns.insert(number, principal.clone());
        }
    }

    /// Gives the free place to the principal whose turn is first; returns the waker of its request.
    fn grant(&self, state: &mut State) -> Option<Waker> {
        if state.running >= self.overall.running {
            return None;
        }
        let (_, principal) = state.turns.pop_first()?;
        let tenant = state.tenant(&principal);
        tenant.turn = None;
        let (_, ticket) = tenant.queue.pop_first()?;
        tenant.running += 1;
        state.running += 1;
        state.queued -= 1;
        self.line_up(state, &principal);
        ticket.grant()
    }

    /// Releases a place. `took` is the duration of the work, if the place was used.
    fn release(&self, principal: &Option<Principal>, took: Option<Duration>) {
        let mut state = self.state();
        if let Some(took) = took.as_ref().map(Duration::as_secs_f64) {
            let mean = state.mean.map_or(took, |mean| mean + (took - mean) / 16.0);
            state.mean = Some(mean);
        }
        state.running -= 1;
        state.tenant(principal).running -= 1;
        self.line_up(&mut state, principal);
        state.forget_idle(principal);
        let waker = self.grant(&mut state);
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Leaves the queue; `false` if the place has just become one to run.
    fn leave(&self, principal: &Option<Principal>, ticket: &Ticket) -> bool {
        let mut state = self.state();
        let left = state.take_out(principal, ticket);
        if left {
            state.queued -= 1;
            state.forget_idle(principal);
        }
        left
    }

    /// Lets others overtake; `false` if the place has just become one to run.
    fn stand_aside(&self, principal: &Option<Principal>, ticket: &Ticket) -> bool {
        let mut state = self.state();
        let left = state.take_out(principal, ticket);
        if left {
            state.tenant(principal).aside += 1;
        }
        left
    }

    /// Takes an unused place to run back, for one that stands aside; `None` if too many do.
    fn hand_back(&self, principal: &Option<Principal>) -> Option<Arc<Ticket>> {
        let mut state = self.state();
        if state.queued >= self.overall.all() {
            return None;
        }
        state.queued += 1;
        state.tenant(principal).aside += 1;
        let ticket = Arc::new(Ticket::new(state.number()));
        drop(state);
        self.release(principal, None);
        Some(ticket)
    }

    /// Returns from aside to the same place in the queue.
    fn stand_in(&self, principal: &Option<Principal>, ticket: &Arc<Ticket>) {
        let mut state = self.state();
        let tenant = state.tenant(principal);
        tenant.aside -= 1;
        tenant.queue.insert(ticket.number, ticket.clone());
        self.line_up(&mut state, principal);
        let waker = self.grant(&mut state);
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Leaves a place that stands aside.
    fn leave_aside(&self, principal: &Option<Principal>) {
        let mut state = self.state();
        state.tenant(principal).aside -= 1;
        state.queued -= 1;
        state.forget_idle(principal);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next - 1
    }

    fn tenant(&mut self, principal: &Option<Principal>) -> &mut Tenant {
        self.tenants.entry(principal.clone()).or_default()
    }

    /// Removes a ticket from its queue; `false` if it is no longer there.
    fn take_out(&mut self, principal: &Option<Principal>, ticket: &Ticket) -> bool {
        let tenant = self.tenant(principal);
        if tenant.queue.remove(&ticket.number).is_none() {
            return false;
        }
        if tenant.queue.is_empty()
            && let Some(turn) = tenant.turn.take()
        {
            self.turns.remove(&turn);
        }
        true
    }

    fn forget_idle(&mut self, principal: &Option<Principal>) {
        if let Some(tenant) = self.tenants.get(principal)
            && tenant.running == 0
            && tenant.queued() == 0
        {
            self.tenants.remove(principal);
        }
    }

    /// Estimates the time until `queued` places have had their turn and one more is free.
    fn wait_of(&self, queued: usize, running: usize) -> Duration {
        let turns = (queued as f64 + 1.0) / running.max(1) as f64;
        let seconds = self.mean.unwrap_or(5.0) * turns;
        Duration::from_secs_f64(seconds.clamp(1.0, 60.0))
    }
}

impl Ticket {
    fn new(number: u64) -> Self {
        Self {
            number,
            state: Mutex::default(),
        }
    }

    fn grant(&self) -> Option<Waker> {
        let mut waiting = self.waiting();
        waiting.granted = true;
        waiting.waker.take()
    }

    fn poll(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut waiting = self.waiting();
        if waiting.granted {
            return Poll::Ready(());
        }
        waiting.waker = Some(cx.waker().clone());
        Poll::Pending
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request's place among the running or waiting; released when dropped.
pub(crate) struct Admission {
    capacity: Arc<Capacity>,
    principal: Option<Principal>,
    place: Place,
}

enum Place {
    Queued(Arc<Ticket>),
    /// In the queue, and overtaken by others.
    Aside(Arc<Ticket>),
    /// A place to run that is not used yet.
    Granted,
    /// Running since then.
    Running(Instant),
}

impl Admission {
    /// Resolves once the work may run.
    pub(crate) fn poll_run(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match &self.place {
            Place::Running(_) => return Poll::Ready(()),
            Place::Queued(ticket) => ready!(ticket.poll(cx)),
            Place::Aside(_) => return Poll::Pending,
            Place::Granted => {}
        }
        self.place = Place::Running(Instant::now());
        Poll::Ready(())
    }

    pub(crate) fn principal(&self) -> Option<&Principal> {
        self.principal.as_ref()
    }

    pub(crate) fn is_queued(&self) -> bool {
        matches!(self.place, Place::Queued(_) | Place::Aside(_))
    }

    /// Lets others overtake until it [stands in](Self::stand_in) again: its request has not arrived
    /// completely, and must not occupy a place to run meanwhile.
    pub(crate) fn stand_aside(&mut self) {
        if let Place::Queued(ticket) = &self.place
            && self.capacity.stand_aside(&self.principal, ticket)
        {
            self.place = Place::Aside(ticket.clone());
        }
    }

    /// Hands back a place that is not used yet, and stands aside. The places that others may wait in
    /// become fewer by that; beyond as many as there are places, it keeps its own.
    pub(crate) fn hand_back(&mut self) {
        self.stand_aside();
        if !matches!(self.place, Place::Aside(_) | Place::Running(_))
            && let Some(ticket) = self.capacity.hand_back(&self.principal)
        {
            self.place = Place::Aside(ticket);
        }
    }

    /// Stops being overtaken.
    pub(crate) fn stand_in(&mut self) {
        if let Place::Aside(ticket) = &self.place {
            self.capacity.stand_in(&self.principal, ticket);
            let is_granted = ticket.waiting().granted;
            self.place = if is_granted {
                Place::Granted
            } else {
                Place::Queued(ticket.clone())
            };
        }
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        let took = match &self.place {
            Place::Queued(ticket) if self.capacity.leave(&self.principal, ticket) => return,
            Place::Aside(_) => return self.capacity.leave_aside(&self.principal),
            Place::Queued(_) | Place::Granted => None,
            Place::Running(since) => Some(since.elapsed()),
        };
        self.capacity.release(&self.principal, took);
    }
}

#[cfg(test)]
mod tests;
