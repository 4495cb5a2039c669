//! The part of a process that answers requests.

use std::{sync::Arc, time::Duration};

use tower_async_job_core::{JobStore, Principal, StoreError};

use crate::{
    body::SpoolRoom,
    config::{Config, NodeConfig, OnStoreFailure, limits::Limits},
    node::{
        capacity::{Admission, Capacity, NoPlace},
        holds::Holds,
        state::Node,
        templates::Templates,
    },
    panics,
    request::route_names::RouteNames,
};

/// The time of failures after which a store is known to be unavailable.
const KNOWN_AFTER: Duration = Duration::from_secs(5);

/// The state with which a process answers submissions and polls. Shared by all services of a layer.
pub(crate) struct Front {
    pub(crate) node: Arc<Node>,
    pub(crate) config: Config,
    pub(crate) templates: Templates,
    pub(crate) route_names: RouteNames,
    capacity: Option<Arc<Capacity>>,
    pub(crate) holds: Holds,
    pub(crate) spool_room: Arc<SpoolRoom>,
}

impl Front {
    pub(crate) fn new(config: Config, node: NodeConfig, store: Arc<dyn JobStore>) -> Self {
        let node = Node::new(node, store);
        node.keeps_for(config.policy.retention.result);
        Self {
            node: Arc::new(node),
            templates: Templates::new(&config),
            route_names: RouteNames::default(),
            capacity: capacity_of(&config).map(Arc::new),
            holds: Holds::new(config.hold_limits),
            spool_room: Arc::new(SpoolRoom::new(
                config.spool_room,
                config.spool_room_per_principal,
            )),
            config,
        }
    }

    /// Returns an error if a call could only be refused in the end: it could not stay inline, and there
    /// is no room for another result of its route. The route is computed only if room is short.
    pub(crate) fn refuse_without_room(
        &self,
        route: impl FnOnce() -> Arc<str>,
    ) -> Result<(), StoreError> {
        if self.config.on_store_failure != OnStoreFailure::Refuse {
            return Ok(());
        }
        let largest = self.node.sizes.largest();
        if largest == 0 {
            return Ok(());
        }
        let checked = panics::catching("the store, or the function for routes,", || {
            if self.node.store.check_room(largest).is_ok() {
                return Ok(());
            }
            match self.node.sizes.of(&route()) {
                0 => Ok(()),
                bytes => self.node.store.check_room(bytes),
            }
        });
        checked.unwrap_or(Ok(()))
    }

    /// Returns an error if the store is known to be unavailable, so that no request is read in vain.
    /// One request per second finds out whether it still is.
    pub(crate) fn check_store(&self) -> Result<(), StoreError> {
        let health = &self.node.health;
        if health.has_failed_for(KNOWN_AFTER) && !health.may_try() {
            return Err(StoreError::unavailable(
                "all of the latest calls to it have failed",
            ));
        }
        Ok(())
    }

    pub(crate) fn is_limited(&self) -> bool {
        self.capacity.is_some() || self.node.streams.is_some()
    }

    /// Returns whether requests that are never deferred may have limits or a deadline too.
    pub(crate) fn governs_all(&self) -> bool {
        let config = &self.config;
        self.is_limited() || config.policy.job_deadline.is_some() || config.policies.is_some()
    }

    /// Takes a place for a deferrable request.
    pub(crate) fn admit(
        &self,
        principal: Option<&Principal>,
    ) -> Result<Option<Box<Admission>>, NoPlace> {
        self.check_open()?;
        self.place(principal)
    }

    /// Returns an error once the node shuts down.
    pub(crate) fn check_open(&self) -> Result<(), NoPlace> {
        if self.node.shutdown.begun.is_set() {
            return Err(NoPlace::STOPPING);
        }
        Ok(())
    }

    /// Returns the number of requests that may begin to run now.
    pub(crate) fn free_places(&self) -> usize {
        let capacity = self.capacity.as_ref();
        capacity.map_or(usize::MAX, |capacity| capacity.free())
    }

    /// Takes a place among the running and queued requests, if they are limited.
    pub(crate) fn place(
        &self,
        principal: Option<&Principal>,
    ) -> Result<Option<Box<Admission>>, NoPlace> {
        let admission = self.capacity.as_ref();
        admission
            .map(|capacity| capacity.admit(principal.cloned()).map(Box::new))
            .transpose()
    }
}

fn capacity_of(config: &Config) -> Option<Capacity> {
    let (overall, each) = (config.limits, config.limits_per_principal);
    (overall.is_some() || each.is_some()).then(|| {
        let none = Limits::NONE;
        Capacity::new(overall.unwrap_or(none), each.unwrap_or(none))
    })
}
