//! The gateway as a process.

use std::{env, fs, net::SocketAddr, path::PathBuf, process::Stdio, time::Duration};

use anyhow::{Context, bail};
use http::Request;
use http_body_util::{BodyExt, Empty};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
    time::timeout,
};

use crate::growth::Sample;

/// The maximum time until the gateway is ready.
const PATIENCE: Duration = Duration::from_secs(20);

/// A gateway, which is killed when this is dropped.
pub(crate) struct Gateway {
    process: Child,
    folder: TempDir,
    upstream: SocketAddr,
    pub(crate) address: SocketAddr,
    operators: String,
    pub(crate) reloads: u64,
}

impl Gateway {
    pub(crate) async fn start(
        program: Option<PathBuf>,
        upstream: SocketAddr,
    ) -> anyhow::Result<Self> {
        let program = match program {
            Some(program) => program,
            None => env::current_exe()?.with_file_name("job-gateway"),
        };
        let folder = TempDir::new()?;
        let file = folder.path().join("settings.toml");
        fs::write(&file, settings(upstream, 0))?;
        let mut command = Command::new(&program);
        command.arg("--config").arg(file).kill_on_drop(true);
        command.stdout(Stdio::piped()).stderr(Stdio::null());
        let mut process = command.spawn().with_context(|| {
            let program = program.display();
            format!("{program} does not start: build it by `cargo build --release -p job-gateway`")
        })?;
        let output = process.stdout.take().context("no output")?;
        let mut lines = BufReader::new(output).lines();
        let (mut address, mut operators) = (None, None);
        while let Some(line) = timeout(PATIENCE, lines.next_line()).await?? {
            if let Some(listening) = line.strip_prefix("listening on http://") {
                address = Some(listening.parse()?);
            }
            if let Some(listening) = line.strip_prefix("operators on ") {
                operators = Some(listening.to_owned());
            }
            if line == "ready" {
                return Ok(Self {
                    process,
                    folder,
                    upstream,
                    address: address.context("the gateway listens nowhere")?,
                    operators: operators.context("there is no address of operators")?,
                    reloads: 0,
                });
            }
        }
        bail!("the gateway has ended")
    }

    /// Reloads settings that differ from those of today.
    pub(crate) fn reload(&mut self) -> anyhow::Result<()> {
        self.reloads += 1;
        let file = self.folder.path().join("settings.toml");
        fs::write(file, settings(self.upstream, self.reloads))?;
        let id = Pid::from_raw(self.id()?.try_into()?).context("no process")?;
        Ok(kill_process(id, Signal::HUP)?)
    }

    /// Returns whether the last reload has failed.
    pub(crate) async fn has_failed_reload(&self) -> anyhow::Result<bool> {
        Ok(metric(&self.metrics().await?, "config_reload_success")? != 1)
    }

    pub(crate) async fn sample(&self) -> anyhow::Result<Sample> {
        let id = self.id()?;
        let status = fs::read_to_string(format!("/proc/{id}/status"))?;
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let resident = resident.context("no VmRSS")?.trim().trim_end_matches(" kB");
        let tasks = metric(&self.metrics().await?, "gateway_tasks")?;
        Ok(Sample {
            memory: resident.parse()?,
            descriptors: fs::read_dir(format!("/proc/{id}/fd"))?.count() as u64,
            tasks,
        })
    }

    /// Returns the metrics, over a connection that is closed then.
    async fn metrics(&self) -> anyhow::Result<String> {
        let client = Client::builder(TokioExecutor::new()).build_http();
        let request = Request::get(format!("{}/metrics", self.operators));
        let request = request.body(Empty::<bytes::Bytes>::new())?;
        let body = client.request(request).await?.into_body().collect().await?;
        Ok(String::from_utf8(body.to_bytes().into())?)
    }

    fn id(&self) -> anyhow::Result<u32> {
        self.process.id().context("the gateway has ended")
    }
}

fn metric(metrics: &str, name: &str) -> anyhow::Result<u64> {
    let mut lines = metrics.lines();
    let value = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    let value: f64 = value.with_context(|| format!("no {name}"))?.parse()?;
    Ok(value as u64)
}

/// Returns settings that alternate between limits, and between two sets of routes.
fn settings(upstream: SocketAddr, number: u64) -> String {
    let (concurrency, route) = match number % 2 {
        0 => (48, ""),
        _ => (
            64,
            "[[routes]]\nname = \"further\"\nmatch = \"/further/{*rest}\"\n",
        ),
    };
    format!(
        "listen = [\"127.0.0.1:0\"]\nadmin = \"127.0.0.1:0\"\n\
         [upstreams.app]\nurl = \"http://{upstream}\"\nconcurrency = {concurrency}\n\
         [defaults]\ninline_wait = \"100ms\"\nretention = \"5s\"\n{route}"
    )
}
