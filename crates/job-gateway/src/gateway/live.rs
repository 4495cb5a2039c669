//! The settings that a reload replaces, and what is made of them.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use http::Request;
use http_polling::RequestHead;
use ipnet::IpNet;
use tower_async_job::Policy;

use super::{connection::Connection, policy};
use crate::{
    config::{Config, Route, Routes},
    proxy::Target,
    upstream::Client,
};

/// The settings that a reload replaces, and what is made of them.
pub(super) struct Live {
    routes: Routes,
    clients: BTreeMap<String, Client>,
    policies: HashMap<Arc<str>, Policies>,
    trusted: Vec<IpNet>,
}

/// The terms of a route's jobs.
struct Policies {
    deferrable: Arc<Policy>,
    /// Has no deadline but that of the response's head.
    inline: Arc<Policy>,
}

impl Live {
    pub(super) fn new(config: &Config) -> Self {
        let clients = config.upstreams.iter();
        let clients = clients.map(|(name, upstream)| (name.clone(), Client::new(upstream)));
        let routes = config.routes.iter().chain(&config.fallback);
        let policies = routes.map(|route| (route.name.clone(), Policies::of(route)));
        Self {
            routes: Routes::of(config),
            clients: clients.collect(),
            policies: policies.collect(),
            trusted: config.trusted_proxies.clone(),
        }
    }

    /// Returns the route of a request, and the client of its server.
    pub(super) fn target<B>(&self, request: &Request<B>, is_durable: bool) -> Option<Target> {
        let route = self.routes.find(request.method(), request.uri().path())?;
        let client = self.clients.get(&route.upstream.name)?;
        let policies = self.policies.get(&route.name)?;
        let deferrable = policy::may_defer(route, request);
        let replayable = deferrable && is_durable && policy::may_replay(route, request);
        let policy = match deferrable {
            true if replayable => policy::replaying(&policies.deferrable, route, request),
            true => policies.deferrable.clone(),
            false => policies.inline.clone(),
        };
        Some(Target {
            route: route.clone(),
            client: client.clone(),
            policy,
            deferrable,
            replayable,
        })
    }

    /// Returns the terms of a request. One that was stored has those of its route today.
    pub(super) fn policy(&self, request: RequestHead<'_>) -> Arc<Policy> {
        if let Some(target) = request.extensions.get::<Target>() {
            return target.policy.clone();
        }
        let route = self.routes.find(request.method, request.uri.path());
        let policies = route.and_then(|route| self.policies.get(&route.name));
        policies
            .map(|policies| policies.deferrable.clone())
            .unwrap_or_default()
    }

    /// Returns the target of a request that was stored.
    pub(super) fn target_again<B>(&self, request: &Request<B>) -> Option<Target> {
        let mut target = self.target(request, false)?;
        target.deferrable = true;
        target.replayable = true;
        Some(target)
    }

    /// Returns whether a client is a proxy that is believed what it forwards. Only programs of this
    /// machine that may open it reach a Unix socket.
    pub(super) fn trusts(&self, connection: Connection) -> bool {
        let Some(address) = connection.address else {
            return true;
        };
        let address = address.to_canonical();
        self.trusted
            .iter()
            .any(|network| network.contains(&address))
    }
}

impl Policies {
    fn of(route: &Route) -> Self {
        let mut policy = policy::of(route);
        let deferrable = Arc::new(policy.clone());
        policy.job_deadline = None;
        Self {
            deferrable,
            inline: Arc::new(policy),
        }
    }
}
