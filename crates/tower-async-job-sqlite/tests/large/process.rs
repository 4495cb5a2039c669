//! Servers in processes of their own, which are this test binary.

use std::{
    env,
    io::{BufRead, BufReader, Write},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use tower_async_job_core::SystemClock;

use crate::server::Server;

/// The environment variable with the path of the file.
const FILE: &str = "TOWER_ASYNC_JOB_SQLITE_LARGE";

/// A server in another process. Dropping it kills it, as by `SIGKILL`.
pub(crate) struct Process {
    child: Child,
    pub(crate) address: SocketAddr,
}

impl Process {
    pub(crate) fn start(file: &Path) -> Self {
        let mut child = Command::new(env::current_exe().unwrap())
            .args(["--exact", "process::serve", "--nocapture", "--quiet"])
            .env(FILE, file)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        // The test runner has lines of its own.
        let address = lines.find_map(|line| {
            let line = line.unwrap();
            Some(line.split_once("listens on ")?.1.parse().unwrap())
        });
        Self {
            address: address.unwrap(),
            child,
        }
    }

    #[cfg(target_os = "linux")]
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// Plays the server; without a file, it is a test that passes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn serve() {
    let Some(file) = env::var_os(FILE) else {
        return;
    };
    let server = Server::start(&PathBuf::from(file), SystemClock).await;
    let mut out = std::io::stdout();
    writeln!(out, "listens on {}", server.address).unwrap();
    out.flush().unwrap();
    server.wait().await;
}
