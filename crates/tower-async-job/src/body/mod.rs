//! The bodies that pass through the layer.

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
