//! The claims of a notifier.

use std::{
    future::{pending, poll_fn},
    pin::{Pin, pin},
    sync::Arc,
    time::Duration,
};

use tokio::time::{Instant, sleep, timeout};
use tower_async_job_core::{ClaimKind, ClaimQuery};

use crate::{
    node::{front::Front, places::Places},
    notify::{
        attempt::{Attempt, begin},
        notification::{Notification, Notified},
    },
    observe::with_sources,
    panics,
    time::spread,
};

/// The longest time between two claims.
const INTERVAL: Duration = Duration::from_secs(1);

/// The shortest time after a claim that found nothing.
const SHORTEST_REST: Duration = Duration::from_millis(100);

/// The shortest time between claims that work wakes.
const AFTER_NONE: Duration = Duration::from_millis(10);

/// Claims notifications for ever, and sends at most `concurrency` of them at once.
pub(super) async fn all<F, Fut>(front: Arc<Front>, send: Arc<F>, concurrency: usize)
where
    F: Fn(Notification) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Notified> + Send + 'static,
{
    let places = Arc::new(Places::new(concurrency));
    loop {
        // A panic of the store ends a round, and not the notifier.
        let rounds = in_rounds(front.clone(), send.clone(), places.clone());
        let _ = panics::logged("a notifier", Box::pin(rounds)).await;
        sleep(INTERVAL).await;
    }
}

async fn in_rounds<F, Fut>(front: Arc<Front>, send: Arc<F>, places: Arc<Places>)
where
    F: Fn(Notification) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Notified> + Send + 'static,
{
    let node = &front.node;
    loop {
        let (free, pause) = (places.free(), node.clocks.pause());
        // Registered before the claim, so that no end is missed.
        let mut work = (free > 0 && pause.is_none()).then(|| node.store.work());
        let mut next = None;
        if work.is_some() {
            // Made by a task, since claims whose answer is dropped are due again much later only.
            let claim = claim(front.clone(), send.clone(), places.clone(), free);
            next = node.tasks.spawn(claim).await.unwrap_or_default();
        }
        if work.is_some() && next != Some(Duration::ZERO) {
            // Each offer of work wakes too, and most jobs are not to be notified of.
            sleep(AFTER_NONE).await;
        }
        let rest = pause.unwrap_or_else(|| {
            let longest = spread(INTERVAL);
            next.map_or(longest, |next| next.clamp(SHORTEST_REST, longest))
        });
        let mut freed = pin!(async {
            match free {
                0 => places.freed.notified().await,
                _ => pending().await,
            }
        });
        let woken = poll_fn(|cx| match &mut work {
            Some(work) => Pin::new(work).poll(cx),
            None => freed.as_mut().poll(cx),
        });
        let _ = timeout(rest, woken).await;
    }
}

/// Claims at most this number of notifications, and begins their attempts. Returns the time after which
/// there are more, if it is known.
async fn claim<F, Fut>(
    front: Arc<Front>,
    send: Arc<F>,
    places: Arc<Places>,
    free: usize,
) -> Option<Duration>
where
    F: Fn(Notification) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Notified> + Send + 'static,
{
    let node = &front.node;
    let mut query = ClaimQuery::new(free).with_kind(ClaimKind::Notify);
    query.not_after = node.clocks.latest();
    let called = Instant::now();
    let claims = match panics::logged("the job store", node.store.claim(&query)).await {
        Ok(Ok(claims)) => claims,
        Ok(Err(error)) => {
            tracing::warn!(
                error = with_sources(&error),
                "no notifications could be claimed"
            );
            return None;
        }
        Err(panics::Panicked) => return None,
    };
    for handle in claims.unreadable {
        tracing::error!(%handle, "a notification cannot be read, and is not sent");
    }
    for (handle, error) in claims.left {
        tracing::warn!(%handle, error = with_sources(&error), "a notification is left to other nodes");
    }
    let begun = claims.jobs.len();
    for claim in claims.jobs {
        let attempt = Attempt {
            front: front.clone(),
            claim,
            called,
            now: claims.now,
            place: places.take(),
        };
        node.tasks.spawn(begin(attempt, send.clone()));
    }
    // Those that became due meanwhile are found as soon as there is a place.
    if begun > 0 {
        Some(Duration::ZERO)
    } else {
        claims.next
    }
}
