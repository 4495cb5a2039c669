//! Jobs as the database has them.

mod digest;
mod numbers;
mod reasons;
mod record;
mod state;

pub(crate) use self::{
    digest::{event_hash, owner_hash, route_hash},
    numbers::{
        Id, handle_number, handle_of, ids, narrow, owner_of, pending_status_number,
        pending_status_of, protocol_number, protocol_of, text_of,
    },
    record::{Found, record_of, refused},
    state::state_of,
};
