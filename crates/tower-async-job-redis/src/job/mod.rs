//! Jobs, as callers see them.

mod digest;
mod row;
mod view;

pub(crate) use self::{
    digest::{hex, owner_hash, route_hash},
    row::{Row, State, escape, newest_format, unescape, unhex, use_next_format},
    view::{Parts, record},
};
