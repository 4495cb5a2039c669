//! The claims of a worker.

use std::{
    future::poll_fn,
    pin::{Pin, pin},
    sync::Arc,
    task::Poll,
    time::Duration,
};

use tokio::time::{Instant, sleep, timeout};
use tower_async_job_core::ClaimQuery;

use crate::{
    body::StoredBody,
    bounds::{HandlerBody, HandlerService},
    node::{front::Front, places::Places},
    observe::with_sources,
    panics::{self, Panicked},
    time::spread,
    worker::{aside::Aside, replay},
};

/// The longest time between two claims.
const INTERVAL: Duration = Duration::from_secs(1);

/// The shortest time after a claim that found nothing, or jobs without a place.
const SHORTEST_REST: Duration = Duration::from_millis(100);

/// The parts of a worker that a claim needs.
#[derive(Clone)]
struct Claimer<S> {
    front: Arc<Front>,
    service: S,
    query: ClaimQuery,
    places: Arc<Places>,
    aside: Arc<Aside>,
}

/// The result of a claim.
#[derive(Default)]
struct Found {
    jobs: usize,
    /// Some of them were released, since their principals have no free place.
    unplaced: bool,
    /// The time after which there are more, if it is known.
    next: Option<Duration>,
}

/// Claims the jobs of a query for ever, and runs at most `concurrency` of them at once.
pub(super) async fn all<S, R>(front: Arc<Front>, service: S, query: ClaimQuery, concurrency: usize)
where
    S: HandlerService<StoredBody, R> + Clone,
    R: HandlerBody,
{
    let limit = (front.config.limits_per_principal).map_or(usize::MAX, |limits| limits.running);
    let claimer = Claimer {
        front,
        service,
        query,
        places: Arc::new(Places::new(concurrency)),
        aside: Arc::new(Aside::new(limit, SHORTEST_REST)),
    };
    loop {
        // A panic of the store or the service ends a round, and not the worker.
        let rounds = Box::pin(claim_in_rounds(claimer.clone()));
        let _ = panics::logged("a worker", rounds).await;
        sleep(INTERVAL).await;
    }
}

async fn claim_in_rounds<S, R>(claimer: Claimer<S>)
where
    S: HandlerService<StoredBody, R> + Clone,
    R: HandlerBody,
{
    let (front, places) = (claimer.front.clone(), claimer.places.clone());
    let node = &front.node;
    loop {
        let free = places.free().min(front.free_places());
        let pause = node.clocks.pause();
        let is_open = free > 0 && pause.is_none();
        // Registered before the claim, so that no work is missed.
        let mut work = is_open.then(|| node.store.work());
        let mut found = Found::default();
        // No claim begins after the shutdown. One that is under way continues in its task.
        if is_open && let Some(open) = node.hold_open() {
            let claim = node.tasks.spawn(claimer.clone().claim(free));
            drop(open);
            found = claim.await.unwrap_or_default();
        }
        let is_full = pause.is_none() && found.jobs >= free && !found.unplaced;
        let rest = pause.unwrap_or_else(|| match found.next {
            _ if found.unplaced => SHORTEST_REST,
            Some(next) if found.jobs == 0 => next.clamp(SHORTEST_REST, spread(INTERVAL)),
            Some(next) => next.min(spread(INTERVAL)),
            None => spread(INTERVAL),
        });
        let mut freed = pin!(places.freed.notified());
        let woken = poll_fn(|cx| {
            let work = work.as_mut();
            if work.is_some_and(|work| Pin::new(work).poll(cx).is_ready()) {
                return Poll::Ready(());
            }
            match is_full {
                true => freed.as_mut().poll(cx),
                false => Poll::Pending,
            }
        });
        let _ = timeout(rest, woken).await;
    }
}

impl<S> Claimer<S> {
    /// Claims at most this number of jobs, and starts them.
    async fn claim<R>(mut self, free: usize) -> Found
    where
        S: HandlerService<StoredBody, R> + Clone,
        R: HandlerBody,
    {
        let node = self.front.node.clone();
        self.query.limit = free;
        // If the clock has jumped forward, leases only seem to have expired.
        self.query.not_after = node.clocks.latest();
        let called = Instant::now();
        let claims = node.store.claim(&self.query);
        let claims = match panics::logged("the job store", claims).await {
            Ok(Ok(claims)) => claims,
            Ok(Err(error)) => {
                tracing::warn!(error = with_sources(&error), "no jobs could be claimed");
                return Found::default();
            }
            Err(Panicked) => return Found::default(),
        };
        if let Some(lease) = node.store.properties().lease {
            node.clocks.note(claims.now, called, lease);
        }
        if !self.query.expects(claims.now) {
            // Without a jump, the call took long.
            return Found {
                next: Some(Duration::ZERO),
                ..Found::default()
            };
        }
        for handle in claims.unreadable {
            tracing::error!(%handle, "a job has failed, since its request cannot be read");
        }
        for (handle, error) in claims.left {
            tracing::warn!(%handle, error = with_sources(&error), "a job is left to other nodes");
        }
        let mut found = Found {
            jobs: claims.jobs.len(),
            unplaced: false,
            next: claims.next,
        };
        for claim in claims.jobs {
            let place = self.places.take();
            let (front, aside) = (&self.front, &self.aside);
            found.unplaced |= !replay::start(front, &self.service, claim, called, place, aside);
        }
        found
    }
}
