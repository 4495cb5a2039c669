//! The way of a request through the gateway: checks, the job resource, its route, and the layer that
//! makes jobs of slow requests.

mod account;
mod again;
mod authorities;
mod check;
mod connection;
mod cors;
mod facts;
mod live;
mod policy;
mod referer;
mod servers;
mod trace;
mod unreplayable;
mod upload;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anyhow::Context;
use arc_swap::ArcSwap;
use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, header::REFERRER_POLICY};
use http_body_util::Empty;
use http_polling::take_callback;
use hyper::body::Incoming;
use tower::{Layer, ServiceExt};
use tower_async_job::{
    AsyncJob, AsyncJobLayer, JobResource, OperatorResource, Release, ResponseBody, StoredBody,
    store::{JobStore, Principal},
};

use self::{account::Account, again::Again, cors::Cors, referer::Bases, upload::Upload};
pub(crate) use self::{connection::Connection, live::Live, unreplayable::log_unreplayable};
use crate::{
    callback::Asked,
    config::{Config, Store, Unusable, swap::Fixed},
    principal::Refusal,
    progress::{Parties, Runs},
    proxy::{self, Facts, Failure, Proxy},
};

/// The number of callbacks at once, of all hosts.
const CALLS: usize = 512;

/// The longest principal, with its source, in bytes.
const PRINCIPAL: usize = 2 << 10;

/// The body of a response.
pub(crate) type Body = ResponseBody<proxy::Body>;

/// The gateway. Clones share all state.
#[derive(Clone)]
pub(crate) struct Gateway {
    shared: Arc<Shared>,
}

struct Shared {
    live: Arc<ArcSwap<Live>>,
    base: Arc<str>,
    bases: Bases,
    durable: bool,
    is_draining: AtomicBool,
    jobs: AsyncJobLayer,
    resource: JobResource,
    proxy: Proxy,
    service: AsyncJob<Proxy>,
}

impl Gateway {
    /// Creates the gateway, and its worker if the store outlives the process.
    ///
    /// # Errors
    ///
    /// Fails if a setting of jobs is invalid.
    pub(crate) fn new(
        fixed: &Fixed<'_>,
        live: Live,
        store: Arc<dyn JobStore>,
        runs: Runs,
    ) -> anyhow::Result<Self> {
        let live = Arc::new(ArcSwap::from_pointee(live));
        let mut jobs = AsyncJobLayer::builder()
            .store(store)
            .base(fixed.base)
            .events(fixed.events)
            .list_own_jobs(fixed.own_jobs)
            .max_inline_wait(policy::MAX_INLINE_WAIT)
            .keep_extension::<Facts>("facts")
            .defer_when(|request| policy::is_deferrable(request.extensions))
            .policy({
                let live = live.clone();
                move |request| live.load().policy(request)
            })
            .principal(|request| request.extensions.get::<Principal>().cloned())
            .principal_limit(PRINCIPAL)
            .notify_when(|request| match request.extensions.get() {
                Some(Asked(target)) => target.clone().map(Some),
                None => Ok(None),
            })
            .route(policy::route_name);
        if let Some(base) = fixed.public_base {
            jobs = jobs.public_base(base);
        }
        let jobs = jobs.build().context("the settings of jobs are invalid")?;
        let proxy = Proxy::new(runs);
        let durable = *fixed.store != Store::Memory;
        if durable {
            tokio::spawn(jobs.worker(Again::new(live.clone(), proxy.clone())).run());
        }
        // A reload may add hosts that are called back.
        let callbacks = live.clone();
        let notifier = jobs.notifier(move |notification| {
            let callbacks = callbacks.load().callbacks.clone();
            async move { callbacks.call(notification).await }
        });
        tokio::spawn(notifier.concurrency(CALLS).run());
        Ok(Self {
            shared: Arc::new(Shared {
                live,
                base: fixed.base.into(),
                bases: Bases::new(fixed.base, fixed.public_base),
                durable,
                is_draining: AtomicBool::new(false),
                resource: jobs.resource(),
                service: jobs.layer(proxy.clone()),
                proxy,
                jobs,
            }),
        })
    }

    /// Answers a request.
    pub(crate) async fn respond(
        &self,
        request: Request<Incoming>,
        connection: Connection,
    ) -> Response<Body> {
        let mut account = Account::new(&request, connection);
        let cors = self.cors(&request);
        let passing = self.pass(request, connection, &mut account, cors.as_ref());
        let answered = passing.await;
        let mut response = answered.unwrap_or_else(|failure| failure.response().map(Body::new));
        if let Some(cors) = cors {
            cors.set(response.headers_mut());
        }
        account.end(response.status());
        response
    }

    async fn pass(
        &self,
        mut request: Request<Incoming>,
        connection: Connection,
        account: &mut Account,
        cors: Option<&Cors>,
    ) -> Result<Response<Body>, Failure> {
        let shared = &*self.shared;
        let live = shared.live.load();
        let path = request.uri().path();
        let is_of_job = self.is_resource(path);
        let is_misspelt = !is_of_job && shared.bases.is_misspelt(path);
        // Before any refusal, whose line in the log would have the id.
        if is_of_job || is_misspelt {
            account.is_of_job(&shared.base);
        }
        check::check(&request, live.max_fields)?;
        if is_misspelt {
            return Err(Failure::Spelling);
        }
        let trusted = live.trusts(connection);
        if let Some(cors) = cors
            && let Some(preflight) = cors.preflight(request.headers())
        {
            if let Some(route) = cors.route() {
                account.is_of_route(&route.name);
            }
            return Ok(preflight.map(Body::new));
        }
        if is_of_job {
            let principals = live.authorities.of_job(request.headers_mut(), trusted);
            drop(live);
            return self.poll(request, principals).await;
        }
        proxy::decline_others(&mut request);
        proxy::join_cookies(&mut request);
        let mut target = live
            .target(&request, shared.durable)
            .ok_or(Failure::NoRoute)?;
        target.handle = account.is_of_route(&target.route.name);
        let headers = request.headers_mut();
        shared.bases.shorten_referer(headers);
        let principal = live.authorities.of_route(&target.route, headers, trusted)?;
        let trace = trace::of(headers);
        let mut facts = facts::facts(&request, connection, &live, &target, trace);
        let url = (target.route.callback)
            .then(|| take_callback(request.headers_mut()))
            .flatten();
        if let Some(url) = url {
            let asked = live.callbacks.ask(&url);
            request.extensions_mut().insert(asked);
        }
        drop(live);
        let mut request = request.map(Upload::new);
        if target.replayable && !policy::is_keyed(&request) {
            let is_whole = request.body_mut().read(&target).await?;
            if !is_whole {
                policy::Obstacle::Body.count(&target.route);
            }
            target.set_replayable(is_whole);
            facts.is_repeatable = is_whole;
        }
        let defers = target.route.defer;
        if let Some(principal) = principal {
            request.extensions_mut().insert(principal);
        }
        request.extensions_mut().insert(facts);
        request.extensions_mut().insert(target);
        if !defers {
            let Ok(response) = shared.proxy.clone().oneshot(request).await;
            return Ok(response.map(Body::new));
        }
        let Ok(response) = shared.service.clone().oneshot(request).await;
        let release: Option<&Release> = response.extensions().get();
        match release.is_some_and(|release| release.outside.is_some()) {
            true => Err(Failure::NoJob),
            false => Ok(response),
        }
    }

    /// Answers a request for a job. A token that is refused matters only if the job is not seen
    /// without one: a client may send one that is for its server alone.
    async fn poll(
        &self,
        request: Request<Incoming>,
        principals: Result<Vec<Principal>, Refusal>,
    ) -> Result<Response<Body>, Failure> {
        let refusal = principals.as_ref().err().copied();
        let mut response = self.asked(request, principals.unwrap_or_default()).await;
        proxy::set_broken(&mut response);
        // A page that is a result tells no server the job's URL.
        let policy = response.headers_mut().entry(REFERRER_POLICY);
        policy.or_insert(HeaderValue::from_static("no-referrer"));
        match refusal {
            Some(refusal) if response.status() == StatusCode::NOT_FOUND => Err(refusal.into()),
            _ => Ok(response.map(Body::from)),
        }
    }

    /// Returns the answer of the job resource, to the first of these principals that may see the job.
    async fn asked(
        &self,
        request: Request<Incoming>,
        principals: Vec<Principal>,
    ) -> Response<StoredBody> {
        let (head, _) = request.into_parts();
        let mut principals = principals.into_iter();
        let mut principal = principals.next();
        loop {
            let mut head = head.clone();
            if let Some(principal) = principal {
                head.extensions.insert(principal);
            }
            let request = Request::from_parts(head, Empty::<Bytes>::new());
            let Ok(response) = self.shared.resource.clone().oneshot(request).await;
            principal = principals.next();
            if principal.is_none() || response.status() != StatusCode::NOT_FOUND {
                return response;
            }
        }
    }

    /// Prepares settings that may replace those of today.
    ///
    /// # Errors
    ///
    /// Fails with all settings that cannot be used.
    pub(crate) fn prepare(&self, config: &Config) -> Result<Live, Vec<Unusable>> {
        Live::new(config, Some(&self.shared.live.load()))
    }

    /// Replaces the settings of all requests that begin from now on.
    pub(crate) fn replace(&self, live: Live) {
        live.begin();
        self.shared.live.store(Arc::new(live));
    }

    /// Returns the rules that browsers enforce for a request, if the settings have some.
    fn cors<B>(&self, request: &Request<B>) -> Option<Cors> {
        let is_of_job = self.is_resource(request.uri().path());
        self.shared.live.load().cors(request, is_of_job)
    }

    fn is_resource(&self, path: &str) -> bool {
        let below = path.strip_prefix(&*self.shared.base);
        below.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    /// Answers a probe of a load balancer.
    pub(crate) async fn ready(&self, request: Request<Incoming>) -> Response<StoredBody> {
        let Ok(mut response) = self.shared.jobs.readiness().oneshot(request).await;
        if self.shared.is_draining.load(Ordering::Relaxed) {
            *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
        }
        response
    }

    /// Returns the servers that deliver their results later.
    pub(crate) fn parties(&self) -> Parties {
        let live = self.shared.live.clone();
        Parties::new(self.shared.jobs.clone(), move |name| {
            live.load().route(name)
        })
    }

    /// Returns the list of jobs for operators, below a path.
    pub(crate) fn operators(&self, base: &str) -> OperatorResource {
        self.shared.jobs.operator_resource().base(base)
    }

    /// Is not ready from now on, but goes on as before.
    pub(crate) fn drain(&self) {
        self.shared.is_draining.store(true, Ordering::Relaxed);
    }

    /// Ends within a grace: new requests are refused, polls answered, and the jobs that still run then
    /// handed back to the store.
    pub(crate) async fn shutdown(&self, grace: Duration) {
        self.shared.jobs.shutdown(grace).await;
    }
}
