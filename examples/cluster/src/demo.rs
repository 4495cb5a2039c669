//! The demonstration: clients wait for reports while each process is killed.

use std::{
    fmt::Display,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use tokio::{task::JoinSet, time::sleep};

use crate::{
    balancer::Balancer,
    call::{Call, Progress},
    process::{Cluster, Process},
};

const CLIENTS: usize = 6;

/// The pages of a report, each of which takes 100 ms.
const PAGES: u32 = 60;

const SECOND: Duration = Duration::from_secs(1);

/// The time that a process is down.
const OUTAGE: Duration = SECOND;

/// Starts two fronts and two workers by this program, and kills each of them while clients wait.
///
/// Prints a timeline. The store is a SQLite file if there is none.
///
/// # Errors
///
/// Fails if a process does not start, or a client gets anything but its report.
pub async fn demo(program: &Path, store: Option<String>) -> anyhow::Result<()> {
    let cluster = Cluster::new(program, store)?;
    let mut nodes = Vec::new();
    for name in ["front-1", "front-2", "worker-1", "worker-2"] {
        let role = name.split('-').next().unwrap_or_default();
        let options = ["--role", role, "--lease", "2", "--concurrency", "4"];
        nodes.push((name, cluster.start(name, &options).await?));
    }
    let time = Timeline(Instant::now());
    let store = cluster.store();
    time.print(format_args!(
        "two fronts and two workers share {store}; leases last 2 s"
    ));

    let addresses: Vec<_> = nodes[..2].iter().map(|(_, node)| node.address()).collect();
    let mut clients = JoinSet::new();
    let mut progress = Vec::new();
    for number in 1..=CLIENTS {
        let balancer = Balancer::new(addresses.clone(), number);
        let mut call = Call::start(&balancer, PAGES, true);
        progress.push(call.progress());
        clients.spawn(async move {
            let answer = call.answer().await;
            let answer = answer.with_context(|| format!("client {number}"))?;
            let (status, node, report) = (answer.status, answer.node, answer.report);
            time.print(format_args!(
                "client {number}: {status}, written by {node} in attempt {}; {}",
                report.attempt,
                balancer.tally(),
            ));
            Ok::<_, anyhow::Error>(report)
        });
    }
    time.print(format_args!(
        "{CLIENTS} clients order reports of {} s each",
        PAGES / 10
    ));
    for (name, node) in &mut nodes {
        sleep(SECOND).await;
        time.kill(name, node, &progress).await?;
    }

    let mut again = 0;
    while let Some(report) = clients.join_next().await {
        let report = report??;
        ensure!(report.pages == PAGES, "{report:?}");
        again += u32::from(report.attempt > 1);
    }
    time.print(format_args!(
        "each client has its one report; {again} of them were begun more than once"
    ));
    Ok(())
}

/// The time since the start.
#[derive(Clone, Copy)]
struct Timeline(Instant);

impl Timeline {
    fn print(&self, event: impl Display) {
        println!("{:5.1} s  {event}", self.0.elapsed().as_secs_f64());
    }

    /// Kills a process, and starts it again.
    async fn kill(
        &self,
        name: &str,
        node: &mut Process,
        clients: &[Progress],
    ) -> anyhow::Result<()> {
        let known = clients.iter().map(|progress| match progress.ratio() {
            Some(done) => format!(" {:.0} %", done * 100.0),
            None => " none".to_owned(),
        });
        let known: String = known.collect();
        node.kill().await?;
        self.print(format_args!(
            "kill -9 {name}; progress that the clients know:{known}"
        ));
        sleep(OUTAGE).await;
        node.start_again().await?;
        self.print(format_args!("{name} is back"));
        Ok(())
    }
}
