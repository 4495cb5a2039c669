//! The parts of requests that polls may need.
//!
//! The first clone of a header value or a URI allocates, and few submissions
//! are ever polled for. So their text is copied into a buffer in the future
//! itself, and converted back once a poll needs it.

mod headers;
mod names;
mod text;

pub use self::names::is_of_one_message;
pub(crate) use self::{headers::KeptHeaders, names::may_be_kept, text::KeptText};

#[cfg(test)]
mod tests;
