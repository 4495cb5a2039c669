//! POSTs at the moments at which real servers close idle connections: none is lost or sent twice.

use std::{path::Path, sync::Arc, time::Duration};

use anyhow::{Context, ensure};
use bytes::Bytes;
use clap::Args;
use futures_util::future::join_all;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde::Deserialize;
use test_services::{Missing, WebServer};
use tokio::{process::Command, time::sleep};

use crate::{history::History, process::Process, program::job_gateway, store::blocking};

/// The sources of the servers, which count the requests that they receive.
const NODE: &str = include_str!("keep_alive/counts.mjs");
const PYTHON: &str = include_str!("keep_alive/counts.py");

/// The age of an idle connection beyond which a gateway sends no POST on it, in milliseconds.
const UNSAFE: u64 = 1000;

/// Sends POSTs through a gateway to Node and gunicorn when their idle connections expire.
#[derive(Args, Debug)]
pub(crate) struct KeepAlive {
    /// The number of POSTs to each server.
    #[arg(long, default_value = "10000")]
    posts: usize,
    /// The number of POSTs at once, each on a connection of its own at first.
    #[arg(long, default_value = "250")]
    at_once: usize,
}

/// The requests that a server has received.
#[derive(Debug, Deserialize, PartialEq)]
struct Counts {
    received: usize,
    twice: usize,
}

/// Runs the POSTs, and prints their figures. Returns whether each was received and answered once.
pub(crate) async fn run(options: KeepAlive) -> anyhow::Result<bool> {
    let start = |server: fn() -> Result<WebServer, Missing>| blocking(move || Ok(server()?));
    let node = start(|| WebServer::node(NODE)).await?;
    let gunicorn = start(|| WebServer::gunicorn(PYTHON)).await?;
    // Their idle connections end after 5 s and 2 s, as by default.
    let (node, gunicorn) = tokio::join!(
        posts(&options, &node, 5000),
        posts(&options, &gunicorn, 2000)
    );
    let mut is_good = true;
    println!("| server | POSTs | answered with 200 | 502 | received | received twice |");
    println!("|---|---:|---:|---:|---:|---:|");
    for (name, outcome) in [("Node", node?), ("gunicorn", gunicorn?)] {
        let (statuses, counts) = outcome;
        let number = |status| {
            statuses
                .iter()
                .filter(|each| **each == Some(status))
                .count()
        };
        let good = number(StatusCode::OK);
        is_good &= good == statuses.len() && counts.received == good && counts.twice == 0;
        println!(
            "| {name} | {} | {good} | {} | {} | {} |",
            statuses.len(),
            number(StatusCode::BAD_GATEWAY),
            counts.received,
            counts.twice
        );
    }
    Ok(is_good)
}

/// Sends POSTs to a server whose idle connections end after this time. Returns their statuses, and the
/// counts of the server.
async fn posts(
    options: &KeepAlive,
    server: &WebServer,
    expiry: u64,
) -> anyhow::Result<(Vec<Option<StatusCode>>, Counts)> {
    let mut command = Command::new(job_gateway(&std::env::current_exe()?)?);
    command.args(["--listen", "127.0.0.1:0", "--upstream", &server.url()]);
    // On a busy machine, a request may take more than a second, and would become a job.
    command.args(["--inline-wait", "1m"]);
    let history = Arc::new(History::new());
    let gateway = Process::start(0, command, Path::new("/dev/null"), &history)?;
    ensure!(gateway.listening().await, "the gateway does not start");
    let address = gateway.address().context("it listens")?;
    let client = Client::builder(TokioExecutor::new()).build_http();
    let numbers: Vec<_> = (0..options.posts).collect();
    let mut statuses = Vec::new();
    for (burst, numbers) in numbers.chunks(options.at_once).enumerate() {
        // Half of the bursts find connections that the server is about to close, the others such as
        // the gateway is about to leave.
        let about = if burst % 2 == 0 { UNSAFE } else { expiry };
        let client = &client;
        let answers = numbers.iter().map(|number| async move {
            sleep(Duration::from_millis(fastrand::u64(0..200))).await;
            post(client, format!("http://{address}/{number}")).await
        });
        statuses.extend(join_all(answers).await);
        sleep(Duration::from_millis(about.saturating_sub(150))).await;
    }
    let counts = format!("{}/counts", server.url());
    let counts = client.get(counts.parse()?).await?.into_body().collect();
    let counts = serde_json::from_slice(&counts.await?.to_bytes())?;
    Ok((statuses, counts))
}

async fn post(client: &Client<HttpConnector, Full<Bytes>>, url: String) -> Option<StatusCode> {
    let request = Request::post(url).body(Full::from("a report")).ok()?;
    let response = client.request(request).await.ok()?;
    let status = response.status();
    response.into_body().collect().await.ok()?;
    Some(status)
}
