//! Ports of servers.

use std::{
    env,
    fs::{self, File},
    net::{Ipv4Addr, SocketAddr, TcpListener},
    ops::Range,
    process,
};

use crate::Missing;

/// Ports that the system gives neither to outgoing connections nor to listeners without a port.
const RANGE: Range<u16> = 20_000..32_000;

/// A free port, reserved among all processes of tests until it is dropped.
///
/// A server keeps its port while it is restarted.
#[derive(Debug)]
pub(crate) struct Port {
    number: u16,
    _reserved: File,
}

impl Port {
    pub(crate) fn reserve() -> Result<Self, Missing> {
        let directory = env::temp_dir().join("http-polling-ports");
        fs::create_dir_all(&directory).map_err(|error| Missing::new("a port", error))?;
        let length = u32::from(RANGE.end - RANGE.start);
        // Processes begin at different ports.
        let offset = process::id().wrapping_mul(37) % length;
        let ports = RANGE.cycle().skip(offset as usize).take(length as usize);
        for number in ports {
            let file = directory.join(number.to_string());
            let Ok(file) = File::create(file) else {
                // Another user's.
                continue;
            };
            if file.try_lock().is_ok() && TcpListener::bind((Ipv4Addr::LOCALHOST, number)).is_ok() {
                return Ok(Self {
                    number,
                    _reserved: file,
                });
            }
        }
        Err(Missing::new("a port", "all are taken"))
    }

    pub(crate) fn number(&self) -> u16 {
        self.number
    }

    pub(crate) fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.number).into()
    }
}
