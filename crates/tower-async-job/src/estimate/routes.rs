//! What is known of each route, in bounded memory.

use std::{collections::HashMap, sync::Arc};

use super::{
    durations::{Durations, ENOUGH},
    schedule::Schedule,
};

/// How many routes are watched that have not had enough jobs yet.
const MAX_NEW: usize = 256;

/// Routes with a longer name learn with the rest.
const MAX_NAME: usize = 256;

/// A route learns by itself once it has had some jobs. Of those that have not yet, that come up
/// too rarely, or that are beyond the limit, the first job of each counts for all of them: they are
/// *the rest*. So one new route says nothing of another, while paths that are never the same twice
/// are soon known.
///
/// Peers may make up routes, where paths are. What they make up passes through `new`, where the
/// route that has had no job for longest goes first, and cannot displace what is known.
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
    /// When it last had a job.
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

    /// The durations that a route's schedule is made for.
    pub(super) fn durations(&mut self, route: &str) -> &mut Durations {
        match self.known.get_mut(route) {
            Some(known) => &mut known.value,
            None => &mut self.rest,
        }
    }
}

/// Makes room for one more.
fn drop_unused<T>(routes: &mut HashMap<Box<str>, Aged<T>>, max: usize) {
    if routes.len() < max {
        return;
    }
    let oldest = routes.iter().min_by_key(|(_, aged)| aged.used);
    if let Some(oldest) = oldest.map(|(route, _)| route.clone()) {
        routes.remove(&oldest);
    }
}
