//! Private PostgreSQL servers.

use std::{
    fs,
    hash::{DefaultHasher, Hash, Hasher},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
};

use rcgen::CertifiedKey;

use crate::{
    Missing,
    folder::{Folder, Storage},
    port::Port,
    process::Server,
    program::{cached, copy_once, installed, run},
};

/// The versions of Debian's servers.
const PROGRAMS: &str = "/usr/lib/postgresql";

/// Settings of a small server with a quick start. It flushes commits, as stores demand.
const SETTINGS: &str = "
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
shared_buffers = 16MB
max_connections = 100
max_wal_size = 128MB
dynamic_shared_memory_type = mmap
jit = off
";

/// The arguments of `initdb`.
const INITIALIZATION: [&str; 5] = [
    "--username=postgres",
    "--auth=trust",
    "--encoding=UTF8",
    "--locale=C",
    "--no-sync",
];

/// A private PostgreSQL server, whose superuser is `postgres`.
#[derive(Debug)]
pub struct Postgres {
    server: Server,
    port: Port,
    password: Option<String>,
    certificate: Option<String>,
}

/// A configuration of a [`Postgres`].
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct PostgresBuilder {
    version: Option<u32>,
    password: Option<String>,
    encrypted: bool,
    storage: Storage,
}

impl Postgres {
    /// Starts the server of the system, which asks for no password.
    ///
    /// # Errors
    ///
    /// Fails if there is no such server or it does not start.
    pub fn start() -> Result<Self, Missing> {
        Self::builder().start()
    }

    /// Starts a server of this major version: the system's, or else one from the cache.
    ///
    /// # Errors
    ///
    /// Fails if there is no such server or it does not start.
    pub fn version(version: u32) -> Result<Self, Missing> {
        Self::builder().version(version).start()
    }

    /// Returns a configuration with the defaults.
    pub fn builder() -> PostgresBuilder {
        PostgresBuilder::default()
    }

    /// Returns the address of the database `postgres`.
    #[must_use]
    pub fn url(&self) -> String {
        self.url_of("postgres")
    }

    /// Returns the address of this database.
    #[must_use]
    pub fn url_of(&self, database: &str) -> String {
        let password = self.password.as_ref();
        let password = password.map_or_else(String::new, |password| format!(":{password}"));
        let port = self.port();
        format!("postgres://postgres{password}@127.0.0.1:{port}/{database}")
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

    /// Returns the certificate that an encrypting server has for `localhost` and 127.0.0.1, as PEM.
    #[must_use]
    pub fn certificate(&self) -> Option<&str> {
        self.certificate.as_deref()
    }

    /// Starts a standby of this server, which has no password, and lets commits wait for it.
    ///
    /// # Errors
    ///
    /// Fails if the standby cannot be created or does not start.
    pub fn standby(&self) -> Result<Self, Missing> {
        let folder = Folder::unprivileged(Storage::default())?;
        let data = folder.path().join("data");
        let (_, programs) = programs(None)?;
        let mut copy = folder.command(&programs.join("pg_basebackup"));
        copy.args(["--write-recovery-conf", "--checkpoint=fast", "--no-sync"])
            .args(["--dbname", &self.url(), "--pgdata"])
            .arg(&data);
        run(&mut copy).map_err(|error| Missing::new("a standby of PostgreSQL", error))?;
        let ready = "database system is ready to accept read";
        let standby = Self::serve(folder, &programs, "", ready)?;
        self.setting("synchronous_standby_names", "*");
        while self.query("SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'")
            != "1"
        {}
        Ok(standby)
    }

    /// Starts the server of the data in a folder, with further settings.
    fn serve(
        folder: Folder,
        programs: &Path,
        settings: &str,
        ready: &'static str,
    ) -> Result<Self, Missing> {
        let data = folder.path().join("data");
        let port = Port::reserve()?;
        let settings = format!("{settings}port = {}\n", port.number());
        append(&data.join("postgresql.conf"), &settings)?;
        let mut command = folder.command(&programs.join("postgres"));
        command.arg("-D").arg(&data);
        let postgres = Self {
            server: Server::new(folder, &command, ready, "QUIT")?,
            port,
            password: None,
            certificate: None,
        };
        postgres.server.start()?;
        Ok(postgres)
    }

    /// Makes a standby the primary.
    ///
    /// # Panics
    ///
    /// Panics if the server refuses.
    pub fn promote(&self) {
        self.query("SELECT pg_promote()");
    }

    /// Creates a database, and returns its address.
    ///
    /// # Panics
    ///
    /// Panics if the server refuses.
    pub fn create_database(&self, name: &str) -> String {
        // Copying files instead of logging them is quicker, but was introduced after version 14.
        self.query(&format!("CREATE DATABASE \"{name}\""));
        self.url_of(name)
    }

    /// Runs SQL commands in the database `postgres`.
    ///
    /// Rows are lines, and columns are divided by `|`.
    ///
    /// # Panics
    ///
    /// Panics if the server refuses, or `psql` is missing.
    pub fn query(&self, sql: &str) -> String {
        self.query_in("postgres", sql)
    }

    /// Runs SQL commands in this database, as [`query`](Self::query) does.
    ///
    /// # Panics
    ///
    /// Panics if the server refuses, or `psql` is missing.
    pub fn query_in(&self, database: &str, sql: &str) -> String {
        let mut command = Command::new("psql");
        command
            .args(["-XAtqw", "-v", "ON_ERROR_STOP=1", "-c", sql])
            .arg(self.url_of(database));
        run(&mut command).unwrap_or_else(|error| panic!("{error}"))
    }

    /// Changes a setting of the server, and restarts the server if the setting needs that.
    ///
    /// # Panics
    ///
    /// Panics if the server refuses.
    pub fn setting(&self, name: &str, value: &str) {
        self.query(&format!("ALTER SYSTEM SET {name} = '{value}'"));
        let context = format!("SELECT context FROM pg_settings WHERE name = '{name}'");
        if self.query(&context) == "postmaster" {
            self.restart();
        } else {
            self.reload();
        }
    }

    /// Reads settings again, and waits until new connections have them.
    fn reload(&self) {
        let loaded = || self.query("SELECT pg_conf_load_time()");
        let before = loaded();
        self.query("SELECT pg_reload_conf()");
        while loaded() == before {}
    }

    /// Restarts the server, after transactions were rolled back and all data was written.
    ///
    /// # Panics
    ///
    /// Panics if the server does not start.
    pub fn restart(&self) {
        self.stop();
        self.start_again();
    }

    /// Restarts the server as after a crash: it recovers what was committed.
    ///
    /// # Panics
    ///
    /// Panics if the server does not start.
    pub fn crash(&self) {
        self.kill();
        self.start_again();
    }

    /// Stops the server at once, as a crash would.
    pub fn kill(&self) {
        self.server.stop("QUIT");
    }

    /// Stops the server, after transactions were rolled back and all data was written.
    pub fn stop(&self) {
        self.server.stop("INT");
    }

    /// Starts the server that was stopped.
    ///
    /// # Panics
    ///
    /// Panics if the server does not start.
    pub fn start_again(&self) {
        self.server
            .start()
            .unwrap_or_else(|error| panic!("{error}"));
    }

    /// Returns the folder of the data, for backups.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.server.folder().path().join("data")
    }
}

impl PostgresBuilder {
    /// Selects a major version. Default: the newest of the system.
    pub fn version(mut self, version: u32) -> Self {
        self.version = Some(version);
        self
    }

    /// Demands this password.
    pub fn password(mut self, password: &str) -> Self {
        self.password = Some(password.to_owned());
        self
    }

    /// Keeps data on the disk of temporary files, whose flushes take their time, instead of in memory.
    pub fn on_disk(mut self) -> Self {
        self.storage = Storage::Disk;
        self
    }

    /// Encrypts all connections, and accepts no others.
    pub fn encrypted(mut self) -> Self {
        self.encrypted = true;
        self
    }

    /// Starts the server.
    ///
    /// # Errors
    ///
    /// Fails if there is no such server or it does not start.
    pub fn start(self) -> Result<Postgres, Missing> {
        installed("psql")?;
        let (version, programs) = programs(self.version)?;
        let folder = Folder::unprivileged(self.storage)?;
        initialize(&folder, version, &programs)?;
        let certificate = self.encrypted.then(|| encrypt(&folder)).transpose()?;
        let ready = "database system is ready to accept connections";
        let mut postgres = Postgres::serve(folder, &programs, SETTINGS, ready)?;
        postgres.certificate = certificate;
        if self.encrypted || self.password.is_some() {
            self.restrict(&mut postgres)?;
        }
        Ok(postgres)
    }

    /// Makes the server refuse connections without encryption or the password.
    fn restrict(self, postgres: &mut Postgres) -> Result<(), Missing> {
        if let Some(password) = &self.password {
            postgres.query(&format!("ALTER ROLE postgres PASSWORD '{password}'"));
        }
        let connection = if self.encrypted { "hostssl" } else { "host" };
        let method = self.password.as_ref().map_or("trust", |_| "scram-sha-256");
        let rules = format!("{connection} all all 127.0.0.1/32 {method}\n");
        postgres.server.folder().write("data/pg_hba.conf", &rules)?;
        postgres.password = self.password;
        postgres.reload();
        Ok(())
    }
}

/// Finds a version and the folder of its programs.
fn programs(version: Option<u32>) -> Result<(u32, PathBuf), Missing> {
    let installed = fs::read_dir(PROGRAMS).into_iter().flatten().flatten();
    let installed = installed
        .filter_map(|folder| folder.file_name().to_str()?.parse::<u32>().ok())
        .filter(|found| version.is_none_or(|version| version == *found))
        .max();
    match (installed, version) {
        (Some(version), _) => Ok((version, format!("{PROGRAMS}/{version}/bin").into())),
        (None, Some(version)) => {
            let folder = cached(&format!("postgres-{version}"))?;
            Ok((version, folder.join("bin")))
        }
        (None, None) => Err(Missing::new(
            "PostgreSQL",
            format!("{PROGRAMS} has no version; .ci/services installs one"),
        )),
    }
}

/// Copies the data of a new server, which is made once and kept in the cache.
fn initialize(folder: &Folder, version: u32, programs: &Path) -> Result<(), Missing> {
    let mut hasher = DefaultHasher::new();
    (INITIALIZATION, folder.user()).hash(&mut hasher);
    let name = format!("postgres-{version}-data-{:x}", hasher.finish());
    let data = folder.path().join("data");
    let copied = copy_once(&name, &data, || {
        let mut command = folder.command(&programs.join("initdb"));
        run(command.args(INITIALIZATION).arg("--pgdata").arg(&data))
    });
    copied.map_err(|error| Missing::new("PostgreSQL", error))
}

/// Prepares a server for encryption, and returns its certificate.
fn encrypt(folder: &Folder) -> Result<String, Missing> {
    let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
    let CertifiedKey { cert, signing_key } = rcgen::generate_simple_self_signed(names)
        .map_err(|error| Missing::new("a certificate", error))?;
    folder.write("data/server.crt", &cert.pem())?;
    folder.write("data/server.key", &signing_key.serialize_pem())?;
    append(&folder.path().join("data/postgresql.conf"), "ssl = on\n")?;
    Ok(cert.pem())
}

fn append(path: &Path, text: &str) -> Result<(), Missing> {
    fs::OpenOptions::new()
        .append(true)
        .open(path)
        .and_then(|mut file| std::io::Write::write_all(&mut file, text.as_bytes()))
        .map_err(|error| Missing::new("PostgreSQL", error))
}
