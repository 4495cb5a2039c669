//! The bodies that pass through the layer.

mod request;
mod response;

pub(crate) use self::request::{Spool, Spooled};
pub use self::{
    request::JobBody,
    response::{ResponseBody, StoredBody},
};
