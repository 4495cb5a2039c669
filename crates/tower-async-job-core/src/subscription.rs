use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
};

use crate::{
    sync::Arc,
    wake::{Place, Wake},
};

/// A wait for an event in a store; see [`JobStore::subscribe`](crate::JobStore::subscribe).
///
/// It is a future that resolves once the event has happened since the subscription, and then at
/// each poll. It is registered from the start, polled or not, and dropping it frees its place.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), tower_async_job_core::StoreError> {
/// use tower_async_job_core::{JobStore, MemoryStore, NewJob};
///
/// let store = MemoryStore::new();
/// let job = NewJob::new(store.new_id(None, None));
/// let id = job.id;
/// store.create(job).await?;
/// let ended = store.subscribe(&id);
/// store.cancel(&id).await?;
/// ended.await;
/// # Ok(()) }
/// ```
#[must_use = "futures do nothing unless polled"]
pub struct Subscription(Kind);

enum Kind {
    Ready,
    Waiting(Place),
    Future(Pin<Box<dyn Future<Output = ()> + Send>>),
}

impl Subscription {
    /// Creates a subscription that resolves immediately, for a job that has ended.
    pub const fn ready() -> Self {
        Self(Kind::Ready)
    }

    /// Creates a subscription from a future, for stores with their own means. The future must be
    /// registered already.
    pub fn from_future(future: impl Future<Output = ()> + Send + 'static) -> Self {
        Self(Kind::Future(Box::pin(future)))
    }

    pub(crate) fn at(wake: Arc<Wake>) -> Self {
        Self(Kind::Waiting(Place::at(wake)))
    }
}

impl Future for Subscription {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let polled = match &mut self.0 {
            Kind::Ready => return Poll::Ready(()),
            Kind::Waiting(place) => Pin::new(place).poll(context),
            Kind::Future(future) => future.as_mut().poll(context),
        };
        if polled.is_ready() {
            self.0 = Kind::Ready;
        }
        polled
    }
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_ready = matches!(self.0, Kind::Ready);
        f.debug_struct("Subscription")
            .field("is_ready", &is_ready)
            .finish_non_exhaustive()
    }
}
