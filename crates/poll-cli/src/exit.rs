//! Exit codes, and failures with their messages.

mod code;
mod failure;
mod tls;
mod transport;

pub(crate) use self::{
    code::{Code, EXIT_CODES},
    failure::Failure,
    transport::{ConnectTimedOut, ThroughProxy, Unanswered, Unread, Unresolved},
};

#[cfg(test)]
mod tests;
