//! The operations on all jobs, each within a transaction or a snapshot of its caller.

mod claiming;
mod creating;
mod expiring;
mod leases;
mod listing;
mod upkeep;

pub(crate) use self::{
    claiming::{claim, notified, release, renew_outside, resume},
    creating::{create, discard, look_up},
    expiring::make_room,
    leases::{cancel, deliver, extend, finish, remove, renew, report, start, write_chunk},
    listing::{Page, find, list},
    upkeep::{count, sweep},
};
