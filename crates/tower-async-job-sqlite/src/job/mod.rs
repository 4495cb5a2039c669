//! Jobs: their rows, and the changes of a single one.

mod chunks;
mod claiming;
mod columns;
mod digest;
mod life;
mod numbers;
mod owner;
mod remains;
mod state;
mod view;

pub(crate) use self::{
    chunks::{collect, note_read, read_chunk},
    claiming::Claimed,
    columns::{COLUMNS, Job, is_pending, key_of, newest_format, use_next_format},
    digest::{owner_hash, route_hash},
    numbers::{handle_number, handle_of},
    state::State,
};
