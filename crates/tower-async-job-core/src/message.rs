//! Messages in the form in which stores keep them.

mod request;
mod response;

pub use self::{
    request::{ReplayedRequest, StoredRequest},
    response::{ReplayedResponse, ResponseRecorder, StoredResponse, TooLarge},
};

pub(crate) use self::response::CLEAR;
