//! Private Sentinels of Redis.

use crate::{
    Missing, Redis,
    folder::{Folder, Storage},
    port::Port,
    process::Server,
    program::installed,
};

/// A private Sentinel, which makes a replica the master soon after the master has failed.
#[derive(Debug)]
pub struct RedisSentinel {
    server: Server,
    port: Port,
}

impl RedisSentinel {
    /// Starts a Sentinel that watches this master and its replicas, with some more settings of its
    /// configuration.
    ///
    /// # Errors
    ///
    /// Fails if there is no such server or it does not start.
    pub fn start(name: &str, master: &Redis, settings: &[&str]) -> Result<Self, Missing> {
        let program = installed("redis-server")?;
        let folder = Folder::new(Storage::Memory)?;
        let port = Port::reserve()?;
        let (own, watched) = (port.number(), master.port());
        let settings = settings.join("\n");
        // It writes what it finds out into this file.
        let file = folder.write(
            "sentinel.conf",
            &format!(
                "port {own}\nbind 127.0.0.1\nsentinel monitor {name} 127.0.0.1 {watched} 1\n\
                 sentinel down-after-milliseconds {name} 500\n\
                 sentinel failover-timeout {name} 2000\n{settings}\n"
            ),
        )?;
        let mut command = folder.command(&program);
        command.arg(file).arg("--sentinel");
        let server = Server::new(folder, &command, "+monitor master", "KILL")?;
        server.start()?;
        Ok(Self { server, port })
    }

    /// Returns the address of the Sentinel.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://{}", self.port.address())
    }

    /// Returns whether it knows a replica with this port.
    #[must_use]
    pub fn knows(&self, port: &str) -> bool {
        let file = self.server.folder().path().join("sentinel.conf");
        let known = std::fs::read_to_string(file).unwrap_or_default();
        let replicas = known.lines().filter(|line| line.contains("known-replica"));
        replicas.into_iter().any(|line| line.ends_with(port))
    }
}
