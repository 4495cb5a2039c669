//! What is kept of requests that are gone, in case that it is needed.
//!
//! Cloning a header value or a URI that nobody has cloned yet allocates, and
//! nearly no submission is ever polled for. So texts are copied into a buffer
//! in the future itself, and made into values again once a poll needs them.

mod headers;
mod names;
mod text;

pub use self::names::is_of_one_message;
pub(crate) use self::{headers::KeptHeaders, names::may_be_kept, text::KeptText};

#[cfg(test)]
mod tests;
