//! A soak of the gateway: for minutes, clients that submit, poll, cancel, disconnect, send large bodies
//! and break the rules, while the settings are reloaded.
//!
//! ```text
//! cargo build --release -p job-gateway
//! cargo run --release -p reliability --bin soak -- --minutes 10
//! ```
//!
//! It fails if a call has another answer than it must, if memory, descriptors or tasks grow after the
//! warm-up, or if any of them, or a call of the server, is left once all clients are done.

mod calls;
mod client;
mod gateway;
mod growth;
mod upstream;

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context, bail};
use clap::Parser;
use tokio::{
    task::JoinSet,
    time::{Instant, interval, sleep, sleep_until},
};

use self::{
    calls::{Kind, call},
    client::Client,
    gateway::Gateway,
    growth::{Sample, growth},
    upstream::Upstream,
};

/// The share of the time that is warm-up.
const WARM_UP: f64 = 0.3;

/// The time in which all that the clients have caused ends.
const REST: Duration = Duration::from_secs(30);

#[derive(Parser)]
struct Arguments {
    /// The duration in minutes.
    #[arg(long, default_value_t = 10.0)]
    minutes: f64,
    /// The number of clients at once.
    #[arg(long, default_value_t = 32)]
    clients: usize,
    /// The time between two reloads of the settings, in seconds.
    #[arg(long, default_value_t = 2.0)]
    reload: f64,
    /// The time between two samples, in seconds.
    #[arg(long, default_value_t = 2.0)]
    sample: f64,
    /// The gateway's program. Default: the one beside this.
    #[arg(long)]
    gateway: Option<PathBuf>,
}

/// The calls by kind, and the first answers that were wrong.
#[derive(Default)]
struct Tally {
    calls: BTreeMap<&'static str, u64>,
    wrong: Vec<String>,
}

impl Tally {
    fn count(&mut self, kind: Kind, answered: anyhow::Result<()>) {
        *self.calls.entry(kind.name()).or_default() += 1;
        if let Err(error) = answered
            && self.wrong.len() < 20
        {
            self.wrong.push(format!("{}: {error:#}", kind.name()));
        }
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    soak(Arguments::parse()).await
}

async fn soak(arguments: Arguments) -> anyhow::Result<()> {
    let upstream = Upstream::start().await?;
    let mut gateway = Gateway::start(arguments.gateway.clone(), upstream.address).await?;
    let client = Client::new(gateway.address);
    // The first job begins the tasks that all jobs share.
    call(Kind::Job, &client).await.context("the first job")?;
    let before = settled(&gateway, None).await?;
    println!("before: {before}");
    let tally = Arc::new(Mutex::new(Tally::default()));
    let begun = Instant::now();
    let end = begun + Duration::from_secs_f64(60.0 * arguments.minutes);
    let mut clients = JoinSet::new();
    for _ in 0..arguments.clients {
        let (client, tally) = (client.clone(), tally.clone());
        clients.spawn(async move {
            while Instant::now() < end {
                let kind = Kind::any();
                let answered = call(kind, &client).await;
                let counted = tally.lock();
                counted
                    .unwrap_or_else(PoisonError::into_inner)
                    .count(kind, answered);
                sleep(Duration::from_millis(fastrand::u64(..40))).await;
            }
        });
    }
    let samples = sample(&mut gateway, &arguments, end).await?;
    clients.join_all().await;
    drop(client);
    let after = settled(&gateway, Some(before)).await?;
    let has_failed_reload = gateway.has_failed_reload().await?;
    let tally = tally.lock().unwrap_or_else(PoisonError::into_inner);
    let growth = growth(&samples, WARM_UP);
    for (kind, calls) in &tally.calls {
        println!("{kind}: {calls}");
    }
    println!("reloads: {}", gateway.reloads);
    println!("after: {after}, {} calls at the server", upstream.running());
    println!("{growth}");
    for wrong in &tally.wrong {
        eprintln!("wrong: {wrong}");
    }
    let failures = [
        (
            !tally.wrong.is_empty(),
            "calls had other answers than they must",
        ),
        (growth.is_growing(), "the gateway grows"),
        (!after.is_at_rest(&before), "something is left"),
        (upstream.running() > 0, "calls of the server are left"),
        (has_failed_reload, "a reload has failed"),
    ];
    let failures: Vec<_> = failures.iter().filter(|(failed, _)| *failed).collect();
    match failures.is_empty() {
        true => Ok(()),
        false => bail!("{failures:?}"),
    }
}

/// Samples the gateway until the end, and reloads its settings meanwhile.
async fn sample(
    gateway: &mut Gateway,
    arguments: &Arguments,
    end: Instant,
) -> anyhow::Result<Vec<Sample>> {
    let mut samples = Vec::new();
    let mut sampling = interval(Duration::from_secs_f64(arguments.sample));
    let mut reloading = interval(Duration::from_secs_f64(arguments.reload));
    loop {
        tokio::select! {
            () = sleep_until(end) => return Ok(samples),
            _ = sampling.tick() => samples.push(gateway.sample().await?),
            _ = reloading.tick() => gateway.reload()?,
        }
    }
}

/// Returns a sample once the gateway is at rest, or after the time for it: as it was before, or
/// without a change for some seconds.
async fn settled(gateway: &Gateway, before: Option<Sample>) -> anyhow::Result<Sample> {
    let end = Instant::now() + REST;
    let mut last = gateway.sample().await?;
    loop {
        sleep(Duration::from_secs(6)).await;
        let sample = gateway.sample().await?;
        let is_settled = match &before {
            Some(before) => sample.is_at_rest(before),
            None => sample.is_at_rest(&last),
        };
        if is_settled || Instant::now() >= end {
            return Ok(sample);
        }
        last = sample;
    }
}
