//! How much is worked on at once, and who is next.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker, ready},
    time::Duration,
};

use http_polling::ProblemType;
use tokio::time::Instant;
use tower_async_job_core::Principal;

/// How many requests may be worked on at once, and how many more may wait for it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) running: usize,
    pub(crate) queued: usize,
}

impl Limits {
    /// No limit.
    pub(crate) const NONE: Self = Self {
        running: usize::MAX,
        queued: usize::MAX,
    };

    fn all(self) -> usize {
        self.running.saturating_add(self.queued)
    }
}

/// Places for those that run and those that wait, of all clients and of each principal.
///
/// When a place to run is free, the principals that wait have their turns: nobody waits behind
/// another's queue.
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
    /// The principals that wait, in the order of their turns.
    turns: VecDeque<Option<Principal>>,
    /// How long work has taken of late, on average, in seconds.
    mean: Option<f64>,
}

#[derive(Default)]
struct Tenant {
    running: usize,
    queue: VecDeque<Arc<Ticket>>,
}

/// A place in a queue.
#[derive(Default)]
struct Ticket {
    state: Mutex<Waiting>,
}

#[derive(Default)]
struct Waiting {
    granted: bool,
    waker: Option<Waker>,
}

/// Why there is no place, and when to ask again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NoPlace {
    pub(crate) problem: ProblemType,
    pub(crate) retry_after: Duration,
}

impl NoPlace {
    /// The node shuts down: another is to be asked.
    pub(crate) const STOPPING: Self = Self {
        problem: ProblemType::CapacityExhausted,
        retry_after: Duration::from_secs(5),
    };
}

impl Capacity {
    pub(crate) fn new(overall: Limits, each: Limits) -> Self {
        Self {
            overall,
            each,
            state: Mutex::default(),
        }
    }

    /// Takes a place to run, or else one to wait.
    pub(crate) fn admit(
        self: &Arc<Self>,
        principal: Option<Principal>,
    ) -> Result<Admission, NoPlace> {
        let mut state = self.state();
        let tenant = state.tenants.get(&principal);
        let (own_running, own_queued) =
            tenant.map_or((0, 0), |tenant| (tenant.running, tenant.queue.len()));
        if principal.is_some() && own_running.saturating_add(own_queued) >= self.each.all() {
            let retry_after =
                state.wait_of(own_queued, self.each.running.min(self.overall.running));
            return Err(NoPlace {
                problem: ProblemType::QuotaExceeded,
                retry_after,
            });
        }
        let may_run = principal.is_none() || own_running < self.each.running;
        let place = if may_run && state.running < self.overall.running {
            state.running += 1;
            state.tenant(&principal).running += 1;
            Place::Granted
        } else if state.queued < self.overall.queued {
            state.queued += 1;
            let ticket = Arc::new(Ticket::default());
            let tenant = state.tenant(&principal);
            tenant.queue.push_back(ticket.clone());
            if tenant.queue.len() == 1 {
                state.turns.push_back(principal.clone());
            }
            Place::Queued(ticket)
        } else {
            return Err(NoPlace {
                problem: ProblemType::CapacityExhausted,
                retry_after: state.wait_of(state.queued, self.overall.running),
            });
        };
        Ok(Admission {
            capacity: self.clone(),
            principal,
            place,
        })
    }

    /// Gives free places to those whose turn it is; returns who is to be woken.
    fn grant(&self, state: &mut State) -> Vec<Waker> {
        let mut wakers = Vec::new();
        for _ in 0..state.turns.len() {
            if state.running >= self.overall.running {
                break;
            }
            let Some(principal) = state.turns.pop_front() else {
                break;
            };
            let limit = if principal.is_some() {
                self.each.running
            } else {
                usize::MAX
            };
            let tenant = state.tenant(&principal);
            if tenant.running < limit
                && let Some(ticket) = tenant.queue.pop_front()
            {
                tenant.running += 1;
                state.running += 1;
                state.queued -= 1;
                wakers.extend(ticket.grant());
            }
            if !state.tenant(&principal).queue.is_empty() {
                state.turns.push_back(principal);
            }
        }
        wakers
    }

    /// `took` is how long the work took, if the place was used at all.
    fn release(&self, principal: &Option<Principal>, took: Option<Duration>) {
        let mut state = self.state();
        if let Some(took) = took.as_ref().map(Duration::as_secs_f64) {
            let mean = state.mean.map_or(took, |mean| mean + (took - mean) / 16.0);
            state.mean = Some(mean);
        }
        state.running -= 1;
        state.tenant(principal).running -= 1;
        state.forget_idle(principal);
        let wakers = self.grant(&mut state);
        drop(state);
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Gives up a place in the queue; `false` if it has just become one to run.
    fn leave(&self, principal: &Option<Principal>, ticket: &Arc<Ticket>) -> bool {
        let mut state = self.state();
        let queue = &mut state.tenant(principal).queue;
        let Some(at) = queue.iter().position(|other| Arc::ptr_eq(other, ticket)) else {
            return false;
        };
        queue.remove(at);
        if queue.is_empty() {
            state.turns.retain(|turn| turn != principal);
        }
        state.queued -= 1;
        state.forget_idle(principal);
        true
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn tenant(&mut self, principal: &Option<Principal>) -> &mut Tenant {
        self.tenants.entry(principal.clone()).or_default()
    }

    fn forget_idle(&mut self, principal: &Option<Principal>) {
        if let Some(tenant) = self.tenants.get(principal)
            && tenant.running == 0
            && tenant.queue.is_empty()
        {
            self.tenants.remove(principal);
        }
    }

    /// How long it takes until so many have had their turn, and one more place is free.
    fn wait_of(&self, queued: usize, running: usize) -> Duration {
        let turns = (queued as f64 + 1.0) / running.max(1) as f64;
        let seconds = self.mean.unwrap_or(5.0) * turns;
        Duration::from_secs_f64(seconds.clamp(1.0, 60.0))
    }
}

impl Ticket {
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

/// A request's place among those that are worked on or wait for it; given back on drop.
pub(crate) struct Admission {
    capacity: Arc<Capacity>,
    principal: Option<Principal>,
    place: Place,
}

enum Place {
    Queued(Arc<Ticket>),
    /// A place to run that has not been used yet.
    Granted,
    /// Since when.
    Running(Instant),
}

impl Admission {
    /// Ready once the work may run.
    pub(crate) fn poll_run(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match &self.place {
            Place::Running(_) => return Poll::Ready(()),
            Place::Queued(ticket) => ready!(ticket.poll(cx)),
            Place::Granted => {}
        }
        self.place = Place::Running(Instant::now());
        Poll::Ready(())
    }

    pub(crate) fn is_queued(&self) -> bool {
        matches!(self.place, Place::Queued(_))
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        let took = match &self.place {
            Place::Queued(ticket) if self.capacity.leave(&self.principal, ticket) => return,
            Place::Queued(_) | Place::Granted => None,
            Place::Running(since) => Some(since.elapsed()),
        };
        self.capacity.release(&self.principal, took);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn capacity(overall: (usize, usize), each: (usize, usize)) -> Arc<Capacity> {
        let limits = |(running, queued)| Limits { running, queued };
        Arc::new(Capacity::new(limits(overall), limits(each)))
    }

    fn of(name: &str) -> Option<Principal> {
        Some(Principal::new(name))
    }

    fn runs(admission: &mut Admission) -> bool {
        admission
            .poll_run(&mut Context::from_waker(Waker::noop()))
            .is_ready()
    }

    #[test]
    fn principals_have_their_turns() {
        let capacity = capacity((1, 10), (10, 10));
        let first = capacity.admit(of("a")).expect("a place");
        let mut a: Vec<_> = (0..3)
            .map(|_| capacity.admit(of("a")).expect("a place"))
            .collect();
        let mut b = capacity.admit(of("b")).expect("a place");
        assert!(a.iter().all(Admission::is_queued) && b.is_queued());
        drop(first);
        assert!(runs(&mut a[0]) && !runs(&mut b));
        drop(a.remove(0));
        assert!(runs(&mut b) && !runs(&mut a[0]));
        drop(b);
        assert!(runs(&mut a[0]));
    }

    #[test]
    fn s38_quota_of_one_principal_leaves_the_others_alone() {
        let capacity = capacity((4, 4), (1, 1));
        let _running = capacity.admit(of("a")).expect("a place");
        let mut queued = capacity.admit(of("a")).expect("a place");
        assert!(
            !runs(&mut queued),
            "there is room, but not for this principal"
        );
        let refused = capacity
            .admit(of("a"))
            .map(drop)
            .expect_err("over the quota");
        assert_eq!(refused.problem, ProblemType::QuotaExceeded);
        let mut other = capacity.admit(of("b")).expect("a place");
        assert!(runs(&mut other));
    }

    #[test]
    fn place_in_the_queue_can_be_left() {
        let capacity = capacity((1, 1), (9, 9));
        let running = capacity.admit(None).expect("a place");
        drop(capacity.admit(None).expect("a place"));
        let mut queued = capacity.admit(None).expect("the place that was left");
        assert!(capacity.admit(None).is_err());
        drop(running);
        assert!(runs(&mut queued));
    }

    #[test]
    fn place_that_was_never_used_tells_nothing_of_how_long_work_takes() {
        let capacity = capacity((1, 1), (9, 9));
        let granted = capacity.admit(None).expect("a place");
        let queued = capacity.admit(None).expect("a place");
        drop(granted);
        drop(queued);
        assert_eq!(capacity.state().mean, None);
    }

    #[test]
    fn granted_place_that_was_never_taken_goes_on() {
        let capacity = capacity((1, 2), (9, 9));
        let running = capacity.admit(None).expect("a place");
        let granted = capacity.admit(None).expect("a place");
        let mut next = capacity.admit(None).expect("a place");
        drop(running);
        drop(granted);
        assert!(runs(&mut next));
        drop(next);
        assert!(capacity.state().tenants.is_empty());
    }
}
