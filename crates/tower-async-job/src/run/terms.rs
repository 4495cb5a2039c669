//! The terms on which a job runs.

use std::sync::Arc;

use tokio::time::Instant;
use tower_async_job_core::{JobHandle, NewJob, Principal};

use crate::{
    body::RoomOfCopy,
    context::job::JobContext,
    node::{places::Place, registration::Registered, state::Node},
    run::restore::Restorable,
    time::after,
};

/// The properties of a job at the start of its run.
pub(crate) struct Terms {
    /// The name of the job in logs.
    pub(crate) handle: JobHandle,
    pub(crate) route: Arc<str>,
    /// The route as a label of metrics, if the application has named it.
    pub(crate) label: Option<Arc<str>>,
    pub(crate) principal: Option<Principal>,
    /// The path of the request, unless the route ends in it.
    pub(crate) target: Option<Box<str>>,
    /// The time from which its lease lasts: before the store was asked for it.
    pub(crate) since: Instant,
    pub(crate) deadline: Instant,
    /// The limit of the result, if it is not the default.
    pub(crate) result_limit: Option<usize>,
    /// The job to store again if the store loses it, if leases end.
    pub(crate) restorable: Option<Box<Restorable>>,
    pub(crate) rerun: Rerun,
    pub(crate) held: Held,
}

/// The condition on which a job can be run again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Rerun {
    /// Its request is not stored.
    #[default]
    Never,
    /// The head of its request is stored: it continues from its checkpoint.
    WithCheckpoint,
    /// Its request is stored.
    Always,
}

impl Rerun {
    /// Returns whether the job can be run again after a run with this context.
    pub(crate) fn is_possible(self, context: Option<&JobContext>) -> bool {
        match self {
            Self::Never => false,
            Self::WithCheckpoint => context.is_some_and(|it| it.checkpoint().is_some()),
            Self::Always => true,
        }
    }
}

/// The resources that a run holds until its end is stored.
#[derive(Default)]
pub(crate) struct Held {
    /// The place of a claimed job.
    pub(crate) place: Option<Place>,
    /// The room of the request, which is in memory as long as it can be stored again.
    pub(crate) room: Option<Arc<RoomOfCopy>>,
}

impl Terms {
    /// Returns the terms of a job that is now sent to the store.
    #[inline(always)]
    pub(crate) fn of(job: &NewJob, node: &Node) -> Self {
        let since = Instant::now();
        let deadline = after(since, job.deadline);
        let leases_end = node.store.properties().lease.is_some();
        Self {
            handle: job.handle,
            route: job.route.clone(),
            label: None,
            principal: job.principal.clone(),
            target: None,
            since,
            deadline,
            result_limit: None,
            restorable: leases_end.then(|| Box::new(Restorable::new(job.clone()))),
            rerun: match job.request {
                Some(_) => Rerun::Always,
                None => Rerun::Never,
            },
            held: Held::default(),
        }
    }

    /// Returns the parts of the job that its registration consists of.
    pub(crate) fn registered(&self, queued: bool) -> Registered<'_> {
        Registered {
            handle: self.handle,
            principal: self.principal.as_ref(),
            label: self.label.as_ref(),
            deadline: self.deadline,
            since: self.since,
            queued,
        }
    }
}
