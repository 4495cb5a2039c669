//! The place of a request.

use std::{
    sync::Arc,
    task::{Context, Poll, ready},
};

use http_polling::ProblemType;
use tokio::time::Instant;
use tower_async_job_core::Principal;

use super::{Capacity, no_place::NoPlace, ticket::Ticket};

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

impl Capacity {
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

    /// Hands back a place that is not used yet, and stands aside. The places that others may wait
    /// in become fewer by that; beyond as many as there are places, it keeps its own.
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
            let is_granted = ticket.is_granted();
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
