//! The places of held polls, and of streams of events.

use std::sync::Arc;

use tower_async_job_core::Principal;

use crate::{node::front::Front, observe::metrics::HeldPoll};

/// A place among the held polls; released when dropped, also by a disconnect.
#[must_use]
pub(crate) struct Place {
    front: Arc<Front>,
    principal: Option<Principal>,
    _counted: HeldPoll,
}

impl Place {
    /// Takes a place; `None` if none is left, in total or for this principal.
    pub(crate) fn take(front: &Arc<Front>, principal: Option<&Principal>) -> Option<Self> {
        front.holds.enter(principal).ok()?;
        Some(Self {
            front: front.clone(),
            principal: principal.cloned(),
            _counted: HeldPoll::new(&front.node.meter),
        })
    }

    pub(crate) fn front(&self) -> &Arc<Front> {
        &self.front
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.front.holds.leave(self.principal.as_ref());
    }
}
