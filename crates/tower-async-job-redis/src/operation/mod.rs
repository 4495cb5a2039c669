//! The operations of a store.

mod candidate;
mod claiming;
mod creating;
mod due;
mod finding;
mod leases;
mod listing;
mod reading;
mod report;

pub(crate) use self::{
    claiming::{claim, notified, release, renew_outside, resume},
    creating::{create, discard, look_up, waiting},
    due::{nodes, pending, sweep},
    leases::{cancel, deliver, extend, finish, remove, renew, report, start},
    listing::{find, list_jobs},
    reading::{LARGEST_RESULT, age, read, read_all, read_chunk, write_chunk},
};
