//! The numbers of held polls, and of streams.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use http_polling::ProblemType;
use tower_async_job_core::Principal;

use crate::config::limits::HoldLimits;

/// A count of held polls, or of streams, with its limits.
pub(crate) struct Holds {
    limits: HoldLimits,
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    overall: usize,
    by_principal: HashMap<Principal, usize>,
}

impl Holds {
    pub(crate) fn new(limits: HoldLimits) -> Self {
        Self {
            limits,
            held: Mutex::default(),
        }
    }

    /// Counts one more, or returns the problem of the limit that is reached.
    pub(crate) fn enter(&self, principal: Option<&Principal>) -> Result<(), ProblemType> {
        let mut held = self.held();
        if held.overall >= self.limits.overall {
            return Err(ProblemType::CapacityExhausted);
        }
        if let Some(principal) = principal {
            let own = held.by_principal.get(principal).copied().unwrap_or(0);
            if own >= self.limits.per_principal {
                return Err(ProblemType::QuotaExceeded);
            }
            held.by_principal.insert(principal.clone(), own + 1);
        }
        held.overall += 1;
        Ok(())
    }

    pub(crate) fn leave(&self, principal: Option<&Principal>) {
        let mut held = self.held();
        held.overall -= 1;
        if let Some(principal) = principal
            && let Some(own) = held.by_principal.get_mut(principal)
        {
            *own -= 1;
            if *own == 0 {
                held.by_principal.remove(principal);
            }
        }
    }

    /// Returns the number of held polls and streams of all principals.
    pub(crate) fn overall(&self) -> usize {
        self.held().overall
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
