//! The data of each route, in bounded memory.

use std::{collections::HashMap, sync::Arc};

use super::{
    durations::{Durations, ENOUGH},
    schedule::Schedule,
};

/// The number of new routes that are watched.
const MAX_NEW: usize = 256;

/// The longest name of a route that learns separately.
const MAX_NAME: usize = 256;

/// The durations of each route.
///
/// A route learns separately once it has had some jobs. The first job of every other route (a new
/// or rare one, or one beyond the limit) counts for all of these, *the rest*. So one new route says
/// nothing about another, while paths that never repeat are soon known.
///
/// Clients may invent routes if these are paths. Invented ones pass through `new`, where the route
/// whose last job is oldest is dropped, and cannot displace known ones.
#[derive(Debug, Default)]
pub(super) struct Routes {
    known: HashMap<Box<str>, Aged<Durations>>,
    new: HashMap<Box<str>, Aged<FirstDurations>>,
    rest: Durations,
    /// The number of durations recorded so far.
    clock: u64,
}

#[derive(Debug)]
struct Aged<T> {
    value: T,
    used: u64,
}

/// In milliseconds.
#[derive(Debug, Default)]
struct FirstDurations {
    durations: [u32; ENOUGH],
    count: usize,
}

impl Routes {
    pub(super) fn schedule(&self, route: &str) -> &Arc<Schedule> {
        match self.known.get(route) {
            Some(known) => &known.value.schedule,
            None => &self.rest.schedule,
        }
    }

    #[cfg(test)]
    pub(super) fn kept(&self) -> (usize, usize) {
        (self.known.len(), self.new.len())
    }

    pub(super) fn record(&mut self, route: &str, milliseconds: u32, max_routes: usize) {
        self.clock += 1;
        if let Some(known) = self.known.get_mut(route) {
            known.used = self.clock;
            known.value.record(milliseconds);
            return;
        }
        let learns_apart = max_routes > 0 && route.len() <= MAX_NAME;
        let Some(new) = self.new.get_mut(route).filter(|_| learns_apart) else {
            self.rest.record(milliseconds);
            if !learns_apart {
                return;
            }
            drop_unused(&mut self.new, MAX_NEW);
            let mut first = Aged {
                value: FirstDurations::default(),
                used: self.clock,
            };
            first.value.durations[0] = milliseconds;
            first.value.count = 1;
            self.new.insert(route.into(), first);
            return;
        };
        new.used = self.clock;
        new.value.durations[new.value.count] = milliseconds;
        new.value.count += 1;
        if new.value.count == ENOUGH
            && let Some(new) = self.new.remove(route)
        {
            drop_unused(&mut self.known, max_routes);
            let mut known = Aged {
                value: Durations::default(),
                used: self.clock,
            };
            for milliseconds in new.value.durations {
                known.value.record(milliseconds);
            }
            self.known.insert(route.into(), known);
        }
    }

    /// Returns the durations from which a route's schedule is made.
    pub(super) fn durations(&mut self, route: &str) -> &mut Durations {
        match self.known.get_mut(route) {
            Some(known) => &mut known.value,
            None => &mut self.rest,
        }
    }
}

/// Makes room for one route.
fn drop_unused<T>(routes: &mut HashMap<Box<str>, Aged<T>>, max: usize) {
    if routes.len() < max {
        return;
    }
    let oldest = routes.iter().min_by_key(|(_, aged)| aged.used);
    if let Some(oldest) = oldest.map(|(route, _)| route.clone()) {
        routes.remove(&oldest);
    }
}
