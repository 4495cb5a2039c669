//! The processes of a cluster.

use std::{
    fs::{self, File},
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
};

use anyhow::Context;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    net::TcpSocket,
    process::{Child, Command},
};

/// A place for processes that share a store, with their logs.
#[derive(Debug)]
pub struct Cluster {
    program: PathBuf,
    store: String,
    folder: TempDir,
}

/// A node in a process of its own, which is killed when dropped.
#[derive(Debug)]
pub struct Process {
    address: SocketAddr,
    /// Keeps the address from others while the process is down.
    _reserved: TcpSocket,
    command: Command,
    log: PathBuf,
    child: Child,
}

impl Cluster {
    /// Creates a place for processes of a program, with a SQLite file if they have no other store.
    ///
    /// # Errors
    ///
    /// Fails if no folder can be created.
    pub fn new(program: &Path, store: Option<String>) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let file = || format!("sqlite:{}", folder.path().join("jobs.db").display());
        Ok(Self {
            program: program.to_owned(),
            store: store.unwrap_or_else(file),
            folder,
        })
    }

    /// Returns the kind of the store, without its address, which may contain a password.
    #[must_use]
    pub fn store(&self) -> &str {
        self.store.split(':').next().unwrap_or_default()
    }

    /// Starts a process with this name and these options, and waits until it listens.
    ///
    /// # Errors
    ///
    /// Fails with its log if it does not listen.
    pub async fn start(&self, name: &str, options: &[&str]) -> anyhow::Result<Process> {
        // Bound without listening, so that the process can listen.
        let reserved = TcpSocket::new_v4()?;
        reserved.set_reuseaddr(true)?;
        reserved.bind((Ipv4Addr::LOCALHOST, 0).into())?;
        let address = reserved.local_addr()?;
        let mut command = Command::new(&self.program);
        command
            .args(["node", "--name", name, "--listen", &address.to_string()])
            .args(options)
            .env("STORE", &self.store)
            .stdout(Stdio::piped())
            .kill_on_drop(true);
        let log = self.folder.path().join(format!("{name}.log"));
        Ok(Process {
            address,
            _reserved: reserved,
            child: launch(&mut command, &log).await?,
            command,
            log,
        })
    }
}

impl Process {
    /// Returns the address, which remains the same.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Kills the process, as by `kill -9`.
    ///
    /// # Errors
    ///
    /// Fails if the system refuses.
    pub async fn kill(&mut self) -> anyhow::Result<()> {
        Ok(self.child.kill().await?)
    }

    /// Sends SIGTERM, and waits for the end of the process.
    ///
    /// # Errors
    ///
    /// Fails if the process has ended before.
    pub async fn terminate(&mut self) -> anyhow::Result<ExitStatus> {
        let id = self.child.id().context("it has ended")?;
        let id = Pid::from_raw(id.try_into()?).context("it has a number")?;
        kill_process(id, Signal::TERM)?;
        Ok(self.child.wait().await?)
    }

    /// Starts the process again, at the same address.
    ///
    /// # Errors
    ///
    /// Fails with its log if it does not listen.
    pub async fn start_again(&mut self) -> anyhow::Result<()> {
        self.child = launch(&mut self.command, &self.log).await?;
        Ok(())
    }
}

/// Starts a process, and waits until it says that it listens.
async fn launch(command: &mut Command, log: &Path) -> anyhow::Result<Child> {
    let errors = File::options().create(true).append(true).open(log)?;
    let mut child = command.stderr(errors).spawn()?;
    let output = child.stdout.take().context("the output is piped")?;
    let line = BufReader::new(output).lines().next_line().await?;
    line.with_context(|| {
        let text = fs::read_to_string(log).unwrap_or_default();
        format!("a process ended:\n{}", text.trim_end())
    })?;
    Ok(child)
}
