//! The places of clients' connections.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// A number of places for connections, which a reload changes.
#[derive(Debug)]
pub(super) struct Places {
    free: Arc<Semaphore>,
    /// The places that end once they are free.
    excess: AtomicUsize,
}

impl Places {
    pub(super) fn new(number: usize) -> Self {
        Self {
            free: Arc::new(Semaphore::new(number)),
            excess: AtomicUsize::new(0),
        }
    }

    /// Waits for a place.
    pub(super) async fn take(&self) -> OwnedSemaphorePermit {
        loop {
            let place = self.free.clone().acquire_owned().await;
            let place = place.expect("the semaphore is never closed");
            if !self.take_excess() {
                return place;
            }
            place.forget();
        }
    }

    fn take_excess(&self) -> bool {
        let less = |excess: usize| excess.checked_sub(1);
        let taken = self
            .excess
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
        taken.is_ok()
    }

    /// Changes the number of places. Connections that are too many are not closed.
    pub(super) fn resize(&self, today: usize, number: usize) {
        for _ in today..number {
            if !self.take_excess() {
                self.free.add_permits(1);
            }
        }
        let fewer = today.saturating_sub(number);
        let ended = self.free.forget_permits(fewer);
        self.excess.fetch_add(fewer - ended, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    fn taken(places: &Places) -> Option<OwnedSemaphorePermit> {
        places.take().now_or_never()
    }

    #[test]
    fn places_that_are_too_many_end_once_they_are_free() {
        let places = Places::new(2);
        let first = taken(&places);
        let second = taken(&places);
        assert!(first.is_some() && second.is_some() && taken(&places).is_none());
        places.resize(2, 1);
        drop(first);
        assert!(taken(&places).is_none());
        drop(second);
        let third = taken(&places);
        assert!(third.is_some() && taken(&places).is_none());
    }

    #[test]
    fn free_places_end_at_once_and_later_ones_are_added() {
        let places = Places::new(3);
        let first = taken(&places);
        places.resize(3, 1);
        assert!(taken(&places).is_none());
        // The number shrinks below those that are taken, and grows again.
        places.resize(1, 0);
        places.resize(0, 2);
        let second = taken(&places);
        assert!(second.is_some() && taken(&places).is_none());
        drop((first, second));
        let both = (taken(&places), taken(&places));
        assert!(both.0.is_some() && both.1.is_some() && taken(&places).is_none());
    }
}
