//! Long results, and the faults of the object store and of runs.

mod common;
mod concurrent;
mod failures;
mod given_up;
mod objects;
mod orphans;
mod reading;
mod sealed;
