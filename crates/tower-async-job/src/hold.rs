//! Polls that are held until the job ends or their time is up.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use http_polling::ProblemType;
use tokio::time::{Instant, timeout_at};
use tower_async_job_core::{Detail, JobId, JobRecord, Principal, StoreError};

use crate::{metrics::HeldPoll, shared::Shared};

/// The numbers that may be held at once, of polls or of streams.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HoldLimits {
    pub(crate) overall: usize,
    pub(crate) per_principal: usize,
}

/// The polls that are held, or the streams.
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

    /// Counts one more, or says which limit is reached.
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

    /// Counts one less.
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

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place among the held polls; given back on drop, so also when the client goes away.
#[must_use]
pub(crate) struct Place {
    shared: Arc<Shared>,
    principal: Option<Principal>,
    _counted: HeldPoll,
}

impl Place {
    /// Takes a place; `None` when there is none left, or none left for this principal.
    pub(crate) fn take(shared: &Arc<Shared>, principal: Option<&Principal>) -> Option<Self> {
        shared.holds.enter(principal).ok()?;
        Some(Self {
            shared: shared.clone(),
            principal: principal.cloned(),
            _counted: HeldPoll::new(),
        })
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.shared.holds.leave(self.principal.as_ref());
    }
}

/// The job as it is when it has ended, the time is up, or the node has shut down. Cancel safe.
#[expect(
    clippy::manual_async_fn,
    reason = "an `async fn` keeps its arguments twice, and there may be very many held polls"
)]
pub(crate) fn record_until<'a>(
    shared: &'a Shared,
    id: &'a JobId,
    until: Instant,
) -> impl Future<Output = Result<Option<JobRecord>, StoreError>> + Send + 'a {
    async move {
        loop {
            {
                let record = shared.read(id, Detail::Full).await?;
                let is_pending = record
                    .as_ref()
                    .is_some_and(|record| record.state.is_pending());
                if !is_pending || Instant::now() >= until || shared.over.is_set() {
                    return Ok(record);
                }
            }
            let ended = shared.over.or(shared.store.ended(id));
            if let Ok(Some(ended)) = timeout_at(until, ended).await {
                ended?;
            }
        }
    }
}
