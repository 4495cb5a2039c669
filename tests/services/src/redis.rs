//! Private Redis and Valkey servers.

use std::{net::SocketAddr, path::PathBuf, process::Command};

use crate::{
    Missing, clock,
    folder::{Folder, Storage},
    port::Port,
    process::Server,
    program::{cached, installed, run},
};

/// Settings that stores demand: every command is flushed, and nothing is evicted.
const SETTINGS: [(&str, &str); 6] = [
    ("bind", "127.0.0.1"),
    ("save", ""),
    ("appendonly", "yes"),
    ("appendfsync", "always"),
    ("maxmemory-policy", "noeviction"),
    ("databases", "64"),
];

/// A private Redis or Valkey server.
#[derive(Debug)]
pub struct Redis {
    server: Server,
    port: Port,
}

/// A configuration of a [`Redis`].
#[derive(Debug, Clone)]
#[must_use]
pub struct RedisBuilder {
    valkey: bool,
    storage: Storage,
    is_shiftable: bool,
    settings: Vec<(String, String)>,
}

impl Redis {
    /// Starts the server of the system.
    ///
    /// # Errors
    ///
    /// Fails if there is no such server or it does not start.
    pub fn start() -> Result<Self, Missing> {
        Self::builder().start()
    }

    /// Starts a Valkey server from the cache.
    ///
    /// # Errors
    ///
    /// Fails if there is no such server or it does not start.
    pub fn valkey() -> Result<Self, Missing> {
        Self::builder().valkey().start()
    }

    /// Returns a configuration with the defaults.
    pub fn builder() -> RedisBuilder {
        let settings = SETTINGS.map(|(name, value)| (name.to_owned(), value.to_owned()));
        RedisBuilder {
            valkey: false,
            storage: Storage::Memory,
            is_shiftable: false,
            settings: settings.into(),
        }
    }

    /// Returns the address of the server.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://{}", self.address())
    }

    /// Returns the port, which remains the same.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port.number()
    }

    /// Returns the address, which remains the same.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.port.address()
    }

    /// Runs a command with `redis-cli`, and returns what it prints.
    ///
    /// # Panics
    ///
    /// Panics if the server refuses the command or cannot be reached.
    pub fn command(&self, arguments: &[&str]) -> String {
        let mut command = Command::new("redis-cli");
        let port = self.port().to_string();
        command.args(["-h", "127.0.0.1", "-p", &port, "-e"]);
        run(command.args(arguments)).unwrap_or_else(|error| panic!("{error}"))
    }

    /// Shifts the time of day of a [shiftable](RedisBuilder::shiftable) server by some seconds from
    /// that of the machine.
    ///
    /// # Panics
    ///
    /// Panics if the server has the time of the machine for ever.
    pub fn shift(&self, seconds: i64) {
        clock::shift(self.server.folder().path(), seconds)
            .unwrap_or_else(|error| panic!("the time cannot be shifted: {error}"));
    }

    pub(crate) fn server(&self) -> &Server {
        &self.server
    }

    /// Restarts the server, after all data was written.
    ///
    /// # Panics
    ///
    /// Panics if the server does not start.
    pub fn restart(&self) {
        self.stop();
        self.start_again();
    }

    /// Stops the server, after all data was written.
    pub fn stop(&self) {
        self.server.stop("TERM");
    }

    /// Returns the folder of the data, for backups.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.server.folder().path().join("appendonlydir")
    }

    /// Kills the server.
    pub fn kill(&self) {
        self.server.stop("KILL");
    }

    /// Starts the server that was killed.
    ///
    /// # Panics
    ///
    /// Panics if the server does not start.
    pub fn start_again(&self) {
        self.server
            .start()
            .unwrap_or_else(|error| panic!("{error}"));
    }
}

impl RedisBuilder {
    /// Selects Valkey's server, from the cache.
    pub fn valkey(mut self) -> Self {
        self.valkey = true;
        self
    }

    /// Keeps data on the disk of temporary files, whose flushes take their time, instead of in memory.
    pub fn on_disk(mut self) -> Self {
        self.storage = Storage::Disk;
        self
    }

    /// Lets the time of day of the server be [shifted](Redis::shift).
    pub fn shiftable(mut self) -> Self {
        self.is_shiftable = true;
        self
    }

    /// Changes a setting. The last value of each is used.
    pub fn setting(mut self, name: &str, value: &str) -> Self {
        self.settings.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Starts the server.
    ///
    /// # Errors
    ///
    /// Fails if there is no such server or it does not start.
    pub fn start(self) -> Result<Redis, Missing> {
        let redis = self.prepare()?;
        redis.server.start()?;
        Ok(redis)
    }

    /// Prepares the server without starting it.
    pub(crate) fn prepare(self) -> Result<Redis, Missing> {
        installed("redis-cli")?;
        let program = self.program()?;
        let folder = Folder::new(self.storage)?;
        let port = Port::reserve()?;
        let mut command = match self.is_shiftable {
            true => clock::shiftable(&program, folder.path())?,
            false => folder.command(&program),
        };
        command
            .arg("--dir")
            .arg(folder.path())
            .args(["--port", &port.number().to_string()]);
        for (name, value) in &self.settings {
            command.args([&format!("--{name}"), value]);
        }
        let server = Server::new(folder, &command, "Ready to accept connections", "KILL")?;
        Ok(Redis { server, port })
    }

    fn program(&self) -> Result<PathBuf, Missing> {
        if self.valkey {
            return Ok(cached("valkey")?.join("valkey-server"));
        }
        installed("redis-server")
    }
}
