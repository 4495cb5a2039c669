//! The connection of a client.

use std::net::IpAddr;

/// The connection of a client.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Connection {
    /// `None` for a client of a Unix socket.
    pub(crate) address: Option<IpAddr>,
    pub(crate) secure: bool,
}
