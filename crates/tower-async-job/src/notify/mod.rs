//! Notifiers: they send the notifications of ended jobs.

mod attempt;
mod claim;
pub(crate) mod notification;

use std::{fmt, sync::Arc};

use self::notification::{Notification, Notified};
use crate::node::{front::Front, housekeeping::keep_house};

/// The number of notifications that are sent at once by default.
const CONCURRENCY: usize = 64;

/// A notifier, created by [`AsyncJobLayer::notifier`](crate::AsyncJobLayer::notifier).
///
/// ```no_run
/// use tower_async_job::{AsyncJobLayer, Notification, Notified};
///
/// async fn send(notification: Notification) -> Notified {
///     println!("{} has ended", notification.handle);
///     Notified::Done
/// }
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let layer = AsyncJobLayer::new();
/// tokio::spawn(layer.notifier(send).concurrency(8).run());
/// # }
/// ```
#[must_use = "a notifier does nothing until it runs"]
pub struct Notifier<F> {
    front: Arc<Front>,
    send: F,
    concurrency: usize,
}

impl<F> Notifier<F> {
    pub(crate) fn new(front: Arc<Front>, send: F) -> Self {
        Self {
            front,
            send,
            concurrency: CONCURRENCY,
        }
    }

    /// Sets the number of notifications that are sent at once. Default 64.
    ///
    /// A receiver that is slow to answer must not take all of them: the function limits those that
    /// it sends to one receiver, and answers further ones with
    /// [`Notified::Again`](crate::Notified::Again).
    pub fn concurrency(mut self, notifications: usize) -> Self {
        self.concurrency = notifications;
        self
    }

    /// Runs the notifier until the [shutdown](crate::AsyncJobLayer::shutdown) of the layer is over.
    ///
    /// It looks for notifications when the store announces some, or else about every second. The
    /// ends of jobs in the grace of a shutdown are notified of too, as far as it lasts; those that
    /// are left stay in the store. If the future is dropped, it begins no other attempt, and those
    /// under way continue.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// use std::time::Duration;
    /// use tower_async_job::{AsyncJobLayer, Notified};
    ///
    /// let layer = AsyncJobLayer::new();
    /// let running = tokio::spawn(layer.notifier(async |_| Notified::Done).run());
    /// layer.shutdown(Duration::from_secs(30)).await;
    /// running.await.unwrap();
    /// # }
    /// ```
    pub async fn run<Fut>(self)
    where
        F: Fn(Notification) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Notified> + Send + 'static,
    {
        let node = self.front.node.clone();
        keep_house(&node);
        let claims = claim::all(self.front, Arc::new(self.send), self.concurrency);
        node.shutdown
            .over
            .or(node.shutdown.given_up.or(claims))
            .await;
        node.shutdown.over.wait().await;
    }
}

impl<F> fmt::Debug for Notifier<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Notifier")
            .field("concurrency", &self.concurrency)
            .finish_non_exhaustive()
    }
}
