//! Processes and databases that end while clients wait.

use std::{net::SocketAddr, path::Path, time::Duration};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use cluster::{Answer, Balancer, Call, Cluster, NODE, Process, Report};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use http_polling::{JobState, StatusDocument};
use tokio::{
    task::block_in_place,
    time::{sleep, timeout},
};
use tower::ServiceExt;

use crate::data::Data;

const SECOND: Duration = Duration::from_secs(1);

/// The time that a call may take. Machines under test are slow.
const CALL: Duration = Duration::from_secs(60);

/// The pages of a report that takes some polls.
const PAGES: u32 = 25;

/// Leases that end soon.
const SHORT: [&str; 4] = ["--lease", "2", "--concurrency", "2"];

/// Two fronts and two workers.
struct Nodes {
    fronts: [Process; 2],
    workers: [Process; 2],
    balancer: Balancer,
    _cluster: Cluster,
    data: Data,
}

impl Nodes {
    async fn start(data: Data, options: &[&str]) -> Result<Self> {
        let cluster = Cluster::new(Path::new(env!("CARGO_BIN_EXE_cluster")), data.url())?;
        let start = async |role, name| {
            let options = [&["--role", role, "--grace", "1"], options];
            cluster.start(name, &options.concat()).await
        };
        let fronts = [
            start("front", "front-1").await?,
            start("front", "front-2").await?,
        ];
        let workers = [
            start("worker", "worker-1").await?,
            start("worker", "worker-2").await?,
        ];
        let balancer = Balancer::new(fronts.iter().map(Process::address), 0);
        Ok(Self {
            fronts,
            workers,
            balancer,
            _cluster: cluster,
            data,
        })
    }

    /// Starts as many calls as the workers run at once, half of them with a key, and waits until both
    /// fronts see the progress of each.
    async fn calls(&self) -> Result<Vec<Call>> {
        let call = |number| Call::start(&self.balancer, PAGES, number % 2 == 0);
        let mut calls: Vec<_> = (0..4).map(call).collect();
        for call in &mut calls {
            let job = call.job().await.context("no job")?;
            for front in &self.fronts {
                while !has_progress(&request(Method::GET, front.address(), &job).await?)? {
                    sleep(SECOND / 20).await;
                }
            }
        }
        Ok(calls)
    }

    /// Waits for the one answer of each call, and compares it with those of further polls.
    async fn answers(&self, calls: Vec<Call>) -> Result<Vec<Answer>> {
        let mut answers = Vec::new();
        for mut call in calls {
            let answer = timeout(CALL, call.answer())
                .await
                .context("an answer in time")??;
            ensure!(
                answer.status == StatusCode::OK && answer.report.pages == PAGES,
                "{answer:?}"
            );
            answers.push(answer.clone());
            // A repeat of a submission may be answered with the end of its job.
            let Some(job) = call.job().await else {
                continue;
            };
            for front in &self.fronts {
                let again = request(Method::GET, front.address(), &job).await?;
                ensure!(
                    again.headers()[NODE] == answer.node,
                    "{again:?}, {answer:?}"
                );
                let report: Report = serde_json::from_slice(again.body())?;
                ensure!(report == answer.report, "{report:?}, {answer:?}");
            }
        }
        Ok(answers)
    }
}

/// Returns whether a pending answer says that some of the work is done.
fn has_progress(answer: &Response<Bytes>) -> Result<bool> {
    let document: StatusDocument = serde_json::from_slice(answer.body())?;
    let done = document.progress.and_then(|progress| progress.ratio());
    Ok(done.is_some_and(|done| done > 0.0))
}

/// Sends a request to one node.
pub(crate) async fn request(
    method: Method,
    node: SocketAddr,
    path: &str,
) -> Result<Response<Bytes>> {
    let request = Request::builder()
        .method(method)
        .uri(format!("http://cluster{path}"))
        .body(Full::default())?;
    let transport = Balancer::new([node], 0);
    let (head, body) = transport.oneshot(request).await?.into_parts();
    Ok(Response::from_parts(head, body.collect().await?.to_bytes()))
}

pub(crate) async fn kills(data: Data) -> Result<()> {
    let mut nodes = Nodes::start(data, &SHORT).await?;
    for number in 0..4 {
        let mut calls = nodes.calls().await?;
        let is_front = number < 2;
        let node = match is_front {
            true => &mut nodes.fronts[number],
            false => &mut nodes.workers[number - 2],
        };
        calls.push(Call::start(&nodes.balancer, PAGES, true));
        node.kill().await?;
        sleep(SECOND / 2).await;
        node.start_again().await?;
        let answers = nodes.answers(calls).await?;
        let is_again = |answer: &Answer| answer.report.attempt > 1;
        ensure!(is_front || answers.iter().any(is_again), "{answers:?}");
    }
    Ok(())
}

pub(crate) async fn deploy(data: Data) -> Result<()> {
    // Leases that end too late for the test, so that jobs are handed over.
    let mut nodes = Nodes::start(data, &["--concurrency", "2"]).await?;
    for number in 0..4 {
        let calls = nodes.calls().await?;
        let node = match number {
            0 | 1 => &mut nodes.workers[number],
            _ => &mut nodes.fronts[number - 2],
        };
        let status = timeout(10 * SECOND, node.terminate()).await??;
        ensure!(status.success(), "{status}");
        node.start_again().await?;
        for answer in nodes.answers(calls).await? {
            ensure!(
                answer.report.attempt == 1,
                "a deploy uses no attempt up: {answer:?}"
            );
        }
    }
    Ok(())
}

pub(crate) async fn cancel(data: Data) -> Result<()> {
    let mut nodes = Nodes::start(data, &["--concurrency", "1"]).await?;
    nodes.workers[1].kill().await?;
    let [first, second] = &nodes.fronts;
    let mut call = Call::start(&Balancer::new([first.address()], 0), 10_000, false);
    let job = call.job().await.context("no job")?;
    while call.progress().ratio().is_none() {
        sleep(SECOND / 20).await;
    }
    let cancelled = request(Method::DELETE, second.address(), &job).await?;
    ensure!(cancelled.status().is_success(), "{cancelled:?}");
    let error = timeout(CALL, call.answer())
        .await?
        .expect_err("it is cancelled");
    let state = error.downcast_ref().and_then(tower_poll::Error::job_state);
    ensure!(state == Some(JobState::Cancelled), "{error:?}");
    // The only place of the only worker is free.
    let mut next = Call::start(&nodes.balancer, 1, false);
    let answer = timeout(10 * SECOND, next.answer())
        .await
        .context("the handler goes on")??;
    ensure!(answer.node == "worker-1", "{answer:?}");
    Ok(())
}

pub(crate) async fn restart(data: Data) -> Result<()> {
    let nodes = Nodes::start(data, &SHORT).await?;
    let calls = nodes.calls().await?;
    block_in_place(|| nodes.data.crash());
    nodes.answers(calls).await?;

    let mut calls = nodes.calls().await?;
    block_in_place(|| nodes.data.stop());
    calls.push(Call::start(&nodes.balancer, PAGES, true));
    sleep(SECOND).await;
    block_in_place(|| nodes.data.start_again());
    nodes.answers(calls).await?;
    Ok(())
}
