//! The programs of processes under test, and of the server behind gateways.

use std::{ffi::OsString, fs, net::SocketAddr, path::Path, sync::Arc};

use anyhow::Context;
use test_services::{Missing, Port};
use tokio::process::Command;

use crate::{
    calls::{MOST_ATTEMPTS, Work},
    history::ProcessId,
    process::Settings,
    server::{KEPT, Role},
    store::{Kind, Place},
};

/// The program of a process.
#[derive(Clone, Debug)]
pub(crate) enum Program {
    /// The example `durable`, in this role.
    Node(Role),
    Gateway(Gateway),
    /// The server behind gateways, at this port.
    Upstream(Arc<Port>),
}

/// The ports of a gateway.
#[derive(Clone, Debug)]
pub(crate) struct Gateway {
    /// That of the server behind it.
    pub(crate) upstream: Arc<Port>,
    /// That of its listener for progress.
    pub(crate) progress: Arc<Port>,
}

/// The differences between processes of a program.
#[derive(Clone, Debug)]
pub(crate) struct Variant {
    pub(crate) program: Program,
    /// The seconds by which its clock is ahead.
    pub(crate) offset: i64,
    /// It is of the next version.
    pub(crate) is_newer: bool,
}

impl Program {
    /// Returns the programs of a round with two gateways before one server, which is the last one.
    pub(crate) fn gateways() -> Result<Vec<Self>, Missing> {
        let port = || Port::reserve().map(Arc::new);
        let upstream = port()?;
        let gateway = || {
            let (upstream, progress) = (upstream.clone(), port()?);
            Ok(Self::Gateway(Gateway { upstream, progress }))
        };
        Ok(vec![gateway()?, gateway()?, Self::Upstream(upstream)])
    }

    /// Returns whether clients reach such processes.
    pub(crate) fn has_clients(&self) -> bool {
        match self {
            Self::Node(role) => role.has_clients(),
            Self::Gateway(_) => true,
            Self::Upstream(_) => false,
        }
    }

    pub(crate) fn is_upstream(&self) -> bool {
        matches!(self, Self::Upstream(_))
    }
}

impl Variant {
    /// Returns the command of a process, whose files are in a directory.
    pub(crate) fn command(
        &self,
        id: ProcessId,
        place: &Place,
        settings: &Settings,
        directory: &Path,
    ) -> anyhow::Result<Command> {
        let this = std::env::current_exe()?;
        match &self.program {
            Program::Node(role) => {
                let mut command = Command::new(this);
                command
                    .arg("serve")
                    .args(place.arguments())
                    .args(["--role", role.name()])
                    .args(["--lease", &settings.lease.as_millis().to_string()])
                    .args(["--grace", &settings.grace.as_millis().to_string()])
                    .args(["--offset", &self.offset.to_string()]);
                if self.is_newer {
                    command.arg("--newer");
                }
                Ok(command)
            }
            Program::Gateway(gateway) => {
                let file = directory.join(format!("gateway-{}.toml", gateway.progress.number()));
                fs::write(&file, gateway.settings(id, settings))?;
                let mut command = Command::new(job_gateway(&this)?);
                command.args(["--listen", "127.0.0.1:0", "--threads", "2", "--config"]);
                command.arg(file).arg("--store").arg(url(place)?);
                Ok(command)
            }
            Program::Upstream(port) => {
                let mut command = Command::new(this);
                command.args(["upstream", "--listen", &port.address().to_string()]);
                Ok(command)
            }
        }
    }
}

impl Gateway {
    /// Returns the settings of a process. Its number is in the URL for progress, so that the server
    /// can tell who has sent a request.
    fn settings(&self, id: ProcessId, settings: &Settings) -> String {
        let (lease, grace) = (settings.lease.as_millis(), settings.grace.as_millis());
        let (upstream, progress): (SocketAddr, _) =
            (self.upstream.address(), self.progress.address());
        let (kept, most) = (KEPT.as_secs(), MOST_ATTEMPTS);
        let (local, large) = (Work::Local.path(), Work::Large.path());
        format!(
            "lease = \"{lease}ms\"\ngrace = \"{grace}ms\"\n\
             [progress]\nlisten = \"{progress}\"\nurl = \"http://process-{id}:{}\"\n\
             [upstreams.app]\nurl = \"http://{upstream}\"\n\
             [defaults]\ninline_wait = \"100ms\"\ndeadline = \"{kept}s\"\nretention = \"{kept}s\"\n\
             replay = \"all\"\nmax_attempts = {most}\n\
             [[routes]]\nmatch = \"{local}\"\nreplay = \"none\"\n\
             [[routes]]\nmatch = \"{large}\"\npending_status = 202\n",
            progress.port()
        )
    }
}

/// Returns the number of the process that has sent a request with this URL for progress.
pub(crate) fn sender(progress_url: &str) -> Option<ProcessId> {
    let id = progress_url.strip_prefix("http://process-")?;
    id.split(':').next()?.parse().ok()
}

/// Returns the gateway that was built beside this program.
pub(crate) fn job_gateway(this: &Path) -> Result<OsString, Missing> {
    let path = this.with_file_name("job-gateway");
    match path.exists() {
        true => Ok(path.into()),
        false => {
            let build = "build it in the same profile by `cargo build -p job-gateway --features \
                         postgres,redis`";
            let reason = format!("there is no {}: {build}", path.display());
            Err(Missing::new("job-gateway", reason))
        }
    }
}

/// Returns the place of a store as a gateway names it.
fn url(place: &Place) -> anyhow::Result<OsString> {
    let at = place.at.to_str().context("the place of the store")?;
    Ok(match place.store {
        Kind::Sqlite => format!("sqlite:{at}").into(),
        _ => at.into(),
    })
}
