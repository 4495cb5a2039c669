//! The bodies that pass through the layer.

mod pace;
mod queue;
mod request;
mod response;

pub(crate) use self::{
    pace::Pace,
    queue::SpoolRoom,
    request::{Spool, Spooled},
};
pub use self::{
    request::JobBody,
    response::{ResponseBody, StoredBody},
};
