//! The sizes of each route's results, by which their room is reserved in advance.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

/// The number of known routes; beyond it, the one whose last job is oldest is dropped.
const MAX_ROUTES: usize = 256;

/// Smaller results need no room of their own.
const SMALL: usize = 4 << 10;

/// A size in bytes for each route that its results rarely exceed. A larger result replaces it, and
/// each smaller one subtracts a sixteenth of the difference.
#[derive(Debug, Default)]
pub(crate) struct Sizes {
    /// The maximum over all routes.
    largest: AtomicUsize,
    routes: Mutex<Routes>,
}

#[derive(Debug, Default)]
struct Routes {
    known: HashMap<Arc<str>, Known>,
    /// The number of results recorded so far.
    clock: u64,
}

#[derive(Debug)]
struct Known {
    size: usize,
    used: u64,
}

impl Sizes {
    /// Returns the largest size of any route; 0 if nothing is known.
    pub(crate) fn largest(&self) -> usize {
        self.largest.load(Ordering::Relaxed)
    }

    /// Returns the size of a route's results; 0 if nothing is known.
    pub(crate) fn of(&self, route: &str) -> usize {
        if self.largest() == 0 {
            return 0;
        }
        self.routes().known.get(route).map_or(0, |known| known.size)
    }

    pub(crate) fn record(&self, route: &Arc<str>, size: usize) {
        if size <= SMALL && self.largest() == 0 {
            return;
        }
        let mut routes = self.routes();
        routes.clock += 1;
        let used = routes.clock;
        if let Some(known) = routes.known.get_mut(route) {
            known.used = used;
            let less = known.size.saturating_sub(size) / 16;
            known.size = size.max(known.size - less);
        } else if size > SMALL {
            if routes.known.len() >= MAX_ROUTES {
                routes.forget_oldest();
            }
            routes.known.insert(route.clone(), Known { size, used });
        }
        self.largest.fetch_max(size, Ordering::Relaxed);
    }

    fn routes(&self) -> MutexGuard<'_, Routes> {
        self.routes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Routes {
    fn forget_oldest(&mut self) {
        let oldest = self.known.iter().min_by_key(|(_, known)| known.used);
        if let Some(oldest) = oldest.map(|(route, _)| route.clone()) {
            self.known.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1 << 20;

    fn recorded(sizes: &[usize]) -> usize {
        let known = Sizes::default();
        let route = "POST /report".into();
        for size in sizes {
            known.record(&route, *size);
        }
        known.of(&route)
    }

    #[test]
    fn largest_result_counts_at_once_and_smaller_ones_little_by_little() {
        assert_eq!(recorded(&[]), 0);
        assert_eq!(recorded(&[MIB, 2 * MIB]), 2 * MIB);
        let after_one = recorded(&[2 * MIB, MIB]);
        assert!(after_one < 2 * MIB && after_one > 19 * MIB / 10);
        let mut many = vec![2 * MIB];
        many.extend([MIB; 100]);
        assert!(recorded(&many) < 11 * MIB / 10);
    }

    #[test]
    fn small_results_take_no_room() {
        assert_eq!(recorded(&[SMALL, 10]), 0);
    }

    #[test]
    fn routes_are_limited() {
        let known = Sizes::default();
        for route in 0..2 * MAX_ROUTES {
            known.record(&format!("/{route}").into(), MIB);
            known.record(&"/often".into(), MIB);
        }
        assert_eq!(known.routes().known.len(), MAX_ROUTES);
        assert_eq!(known.of("/often"), MIB);
        assert_eq!(known.of("/0"), 0);
    }
}
