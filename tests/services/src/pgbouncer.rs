//! Private PgBouncers.

use std::net::SocketAddr;

use crate::{
    Missing, Postgres,
    folder::{Folder, Storage},
    port::Port,
    process::Server,
    program::installed,
};

/// A private PgBouncer in transaction mode, before a [`Postgres`] that demands no password.
#[derive(Debug)]
pub struct PgBouncer {
    server: Server,
    port: Port,
}

impl PgBouncer {
    /// Starts a PgBouncer before this server.
    ///
    /// # Errors
    ///
    /// Fails if the system has none or it does not start.
    pub fn start(postgres: &Postgres) -> Result<Self, Missing> {
        let program = installed("pgbouncer")?;
        let folder = Folder::unprivileged(Storage::Memory)?;
        let port = Port::reserve()?;
        let users = folder.write("users", "\"postgres\" \"\"\n")?;
        let settings = format!(
            "[databases]\n\
             * = host=127.0.0.1 port={}\n\
             [pgbouncer]\n\
             listen_addr = 127.0.0.1\n\
             listen_port = {}\n\
             unix_socket_dir =\n\
             auth_type = trust\n\
             auth_file = {}\n\
             admin_users = postgres\n\
             pool_mode = transaction\n\
             max_client_conn = 1000\n\
             default_pool_size = 10\n",
            postgres.port(),
            port.number(),
            users.display()
        );
        let settings = folder.write("settings", &settings)?;
        let mut command = folder.command(&program);
        command.arg(settings);
        let server = Server::new(folder, &command, "process up", "KILL")?;
        server.start()?;
        Ok(Self { server, port })
    }

    /// Returns the address of the database `postgres`.
    #[must_use]
    pub fn url(&self) -> String {
        self.url_of("postgres")
    }

    /// Returns the address of this database.
    #[must_use]
    pub fn url_of(&self, database: &str) -> String {
        format!("postgres://postgres@{}/{database}", self.address())
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

    /// Restarts the process, and breaks all of its connections.
    ///
    /// # Panics
    ///
    /// Panics if the process does not start.
    pub fn restart(&self) {
        self.server.stop("TERM");
        self.server
            .start()
            .unwrap_or_else(|error| panic!("{error}"));
    }
}
