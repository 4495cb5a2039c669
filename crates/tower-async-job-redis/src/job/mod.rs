//! Jobs, as callers see them.

mod digest;
mod row;
mod view;

pub(crate) use self::{
    digest::{hex, owner_hash, route_hash},
    row::{Fields, Row, State, newest_format, unhex, use_next_format},
    view::{Parts, record},
};
