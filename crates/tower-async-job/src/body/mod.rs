//! The bodies of requests and responses.

pub(crate) mod delivery;
mod pace;
mod queue;
mod request;
mod response;

pub(crate) use self::{
    queue::SpoolRoom,
    request::{Spool, Spooled},
};
pub use self::{
    request::JobBody,
    response::{ResponseBody, StoredBody},
};
