//! Jobs, as callers see them.

mod digest;
mod row;
mod view;

pub(crate) use self::{
    digest::{hex, owner_hash, route_hash},
    row::{FORMAT, Fields, Row, State, unhex},
    view::{Parts, record},
};
