//! The settings that a reload replaces, and what is made of them.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};

use http::Request;
use http_polling::RequestHead;
use ipnet::IpNet;
use tokio::time::Instant;
use tower_async_job::Policy;

use super::{
    authorities::Authorities, connection::Connection, cors::Cors, policy, servers::Servers,
};
use crate::{
    callback::Callbacks,
    config::{Config, Route, Routes, Unusable},
    proxy::{Facts, Handle, Target},
};

/// The longest time that a store usually takes to accept a job.
const ACCEPTANCE: Duration = Duration::from_secs(1);

/// The time for which settings are new.
const NEW: Duration = Duration::from_secs(60);

/// The settings that a reload replaces, and what is made of them.
pub(crate) struct Live {
    since: Instant,
    routes: Routes,
    servers: Servers,
    pub(super) authorities: Authorities,
    policies: HashMap<Arc<str>, Policies>,
    pub(super) callbacks: Arc<Callbacks>,
    trusted: Vec<IpNet>,
    /// The origins of all routes.
    origins: Vec<String>,
    pub(super) max_fields: usize,
    upload_timeout: Duration,
}

/// The terms of a route's jobs.
struct Policies {
    route: Arc<Route>,
    deferrable: Arc<Policy>,
    /// Has no deadline but that of the response's head.
    inline: Arc<Policy>,
}

impl Live {
    /// Creates what the settings describe. Clients of servers whose settings are those of the
    /// previous ones are kept, with their connections and queues.
    ///
    /// # Errors
    ///
    /// Fails with all settings that cannot be used.
    pub(crate) fn new(config: &Config, previous: Option<&Self>) -> Result<Self, Vec<Unusable>> {
        let servers = Servers::new(config, previous.map(|live| &live.servers));
        let authorities = Authorities::new(config);
        let callbacks = Callbacks::new(&config.callbacks, previous.map(|live| &*live.callbacks));
        let (servers, authorities, callbacks) = match (servers, authorities, callbacks) {
            (Ok(servers), Ok(authorities), Ok(callbacks)) => (servers, authorities, callbacks),
            (servers, authorities, callbacks) => {
                let mut unusable = servers.err().unwrap_or_default();
                unusable.extend(authorities.err().unwrap_or_default());
                unusable.extend(callbacks.err());
                return Err(unusable);
            }
        };
        let routes = config.routes.iter().chain(&config.fallback);
        let origins = routes.clone().flat_map(|route| &route.cors_origins);
        let origins: BTreeSet<_> = origins.cloned().collect();
        let policies = routes.map(|route| {
            let policies = Policies::of(route, config.clients.body_timeout);
            (route.name.clone(), policies)
        });
        Ok(Self {
            since: Instant::now(),
            routes: Routes::of(config),
            servers,
            authorities,
            policies: policies.collect(),
            callbacks: Arc::new(callbacks),
            trusted: config.trusted_proxies.clone(),
            origins: origins.into_iter().collect(),
            max_fields: config.clients.headers,
            upload_timeout: config.clients.body_timeout,
        })
    }

    /// Lets the settings take effect on what is kept of the previous ones.
    pub(super) fn begin(&self) {
        self.servers.resize_queues();
    }

    /// Returns the route of a request, and the client of its server.
    pub(super) fn target<B>(&self, request: &Request<B>, is_durable: bool) -> Option<Target> {
        let route = self.routes.find(request.method(), request.uri().path())?;
        let server = self.servers.get(&route.upstream.name)?;
        let policies = self.policies.get(&route.name)?;
        let deferrable = policy::may_defer(route, request);
        let replayable = deferrable && is_durable && may_replay(route, request);
        let follows = deferrable && route.follow && !RequestHead::of(request).is_grpc();
        let resumable = follows && is_durable && !replayable;
        let policy = match deferrable {
            true if replayable || resumable => {
                policy::storing(&policies.deferrable, route, request, replayable)
            }
            true => policies.deferrable.clone(),
            false => policies.inline.clone(),
        };
        Some(Target {
            route: route.clone(),
            client: server.client.clone(),
            queue: server.queue.clone(),
            progress: server.progress.clone(),
            principals: self.authorities.fields.clone(),
            policy,
            accepted: replayable.then(|| accepted(route, request)),
            handle: Handle::default(),
            upload_timeout: self.upload_timeout,
            deferrable,
            replayable,
            resumable,
            follows,
        })
    }

    /// Returns the route of that name.
    pub(super) fn route(&self, name: &str) -> Option<Arc<Route>> {
        Some(self.policies.get(name)?.route.clone())
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
        target.accepted = None;
        target.deferrable = true;
        let facts: Option<&Facts> = request.extensions().get();
        target.replayable = facts.is_none_or(|facts| facts.is_repeatable);
        target.resumable = !target.replayable;
        Some(target)
    }

    /// Returns whether other gateways on the same store may not have these settings yet.
    pub(super) fn is_new(&self) -> bool {
        self.since.elapsed() < NEW
    }

    /// Returns the rules for pages of other origins, if the route has some. Those of jobs are the
    /// rules of all routes.
    pub(super) fn cors<B>(&self, request: &Request<B>, is_of_job: bool) -> Option<Cors> {
        match is_of_job {
            _ if self.origins.is_empty() => None,
            true => Some(Cors::of_job(&self.origins, request)),
            false => Cors::of_route(&self.routes, request),
        }
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

/// Returns whether a request can be sent again. One that cannot for a reason of its own is counted.
fn may_replay<B>(route: &Route, request: &Request<B>) -> bool {
    let checked = policy::check_replay(route, request);
    checked.map_err(|obstacle| obstacle.count(route)).is_ok()
}

/// Returns the time at which a request has become a job.
fn accepted<B>(route: &Route, request: &Request<B>) -> Instant {
    Instant::now() + policy::inline_wait(route, request) + ACCEPTANCE
}

impl Policies {
    fn of(route: &Arc<Route>, body_timeout: Duration) -> Self {
        let mut policy = policy::of(route, body_timeout);
        let deferrable = Arc::new(policy.clone());
        policy.job_deadline = None;
        Self {
            route: route.clone(),
            deferrable,
            inline: Arc::new(policy),
        }
    }
}
