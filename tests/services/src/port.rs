//! Ports of servers.

use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket},
    ops::Range,
    process,
};

use crate::Missing;

/// Ports that the system gives neither to outgoing connections nor to listeners without a port.
const RANGE: Range<u16> = 20_000..32_000;

/// A free TCP port, reserved among all processes of tests until it is dropped.
///
/// A server keeps its port while it is restarted. The UDP port of the same number is held meanwhile.
#[derive(Debug)]
pub struct Port {
    number: u16,
    _reserved: UdpSocket,
}

impl Port {
    /// Reserves a port.
    ///
    /// # Errors
    ///
    /// Fails if all ports are taken.
    pub fn reserve() -> Result<Self, Missing> {
        let length = usize::from(RANGE.end - RANGE.start);
        // Processes begin at different ports.
        let offset = process::id() as usize * 37 % length;
        let mut ports = RANGE.cycle().skip(offset).take(length);
        let reserve = |number| {
            let reserved = UdpSocket::bind((Ipv4Addr::LOCALHOST, number)).ok()?;
            TcpListener::bind((Ipv4Addr::LOCALHOST, number)).ok()?;
            Some(Self {
                number,
                _reserved: reserved,
            })
        };
        let none = || Missing::new("a port", "all are taken");
        ports.find_map(reserve).ok_or_else(none)
    }

    /// Returns its number.
    #[must_use]
    pub fn number(&self) -> u16 {
        self.number
    }

    /// Returns its address on the loopback interface.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.number).into()
    }
}
