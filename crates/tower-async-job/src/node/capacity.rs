//! The places of running and queued requests, and their order.

mod admission;
mod no_place;
mod ticket;

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::Waker,
    time::Duration,
};

use tower_async_job_core::Principal;

use self::ticket::Ticket;
pub(crate) use self::{
    admission::Admission,
    no_place::{BUSY_RETRY_AFTER, NoPlace},
};
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

impl Capacity {
    pub(crate) fn new(overall: Limits, each: Limits) -> Self {
        Self {
            overall,
            each,
            state: Mutex::default(),
        }
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

#[cfg(test)]
mod tests;
