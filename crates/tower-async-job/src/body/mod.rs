//! The bodies of requests and responses.

mod chunks;
pub(crate) mod delivery;
mod error;
pub(crate) mod live;
mod pace;
mod queue;
mod request;
mod response;

pub use self::{
    error::BodyError,
    request::JobBody,
    response::{ResponseBody, StoredBody},
};
pub(crate) use self::{
    queue::{RoomOfCopy, SpoolRoom},
    request::{Spool, Spooled},
};
