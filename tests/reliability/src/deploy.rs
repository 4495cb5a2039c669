//! A deploy: the server behind gateways is away while jobs are submitted, and each runs once when it
//! is back.

use std::{collections::HashMap, net::SocketAddr, time::Duration};

use anyhow::{Context, ensure};
use clap::Args;
use futures_util::{StreamExt, stream};
use http_polling::JobState;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::{
    behind,
    calls::{Call, Task, Work},
    check::{Promise, Traces, Violation, check},
    client::Clients,
    fleet::Fleet,
    process::{Process, Settings},
    program::Program,
    store::{self, Kind},
    times::Times,
};

/// The lease by default, since no gateway dies.
const LEASE_IN_USE: Duration = Duration::from_secs(30);

/// The requests that are under way at once.
const AT_ONCE: usize = 100;

/// The time for all jobs to end once the server is back.
const SETTLING: Duration = Duration::from_secs(120);

/// Submits jobs to two gateways whose server is away, and checks that each runs once when it is back.
#[derive(Args, Debug)]
pub(crate) struct Deploy {
    /// The store of the gateways.
    #[arg(long, value_enum, default_value = "sqlite")]
    store: Kind,
    /// The number of jobs.
    #[arg(long, default_value = "1000")]
    jobs: u64,
    /// The seconds for which the server is away.
    #[arg(long, default_value = "30")]
    outage: u64,
}

/// Runs the deploy, and prints its figures. Returns whether all promises were kept.
pub(crate) async fn run(options: Deploy) -> anyhow::Result<bool> {
    let directory = tempfile::tempdir()?;
    let backend = store::start(options.store, directory.path(), false).await?;
    let settings = Settings {
        lease: LEASE_IN_USE,
        grace: Duration::from_secs(1),
    };
    let log = directory.path().join("processes.log");
    let fleet = Fleet::new(backend, &log, settings, &Program::gateways()?).await;
    let mut gateways = Vec::new();
    for slot in 0..fleet.nodes() {
        gateways.push(started(&fleet, slot).await?);
    }
    let addresses: Vec<_> = gateways.iter().filter_map(Process::address).collect();
    let seed = u64::from(fastrand::u32(..));
    let clients = Clients::new(&fleet, seed);
    let away = Instant::now();
    let jobs = submit(&clients, options.jobs, &addresses).await;
    sleep_until(away + Duration::from_secs(options.outage)).await;
    let server = fleet.upstream().context("the server is the last program")?;
    let _server = started(&fleet, server).await?;
    let (back, away) = (Instant::now(), away.elapsed());
    let ends = ends(&clients, &jobs, &addresses, back).await;

    let events = fleet.history.events();
    let calls: HashMap<_, _> = jobs.iter().map(|(call, _)| (call.number, *call)).collect();
    let mut violations = check(&events, &calls, false);
    violations.extend(behind::check(&events, &calls, seed));
    violations.extend(once(&Traces::of(&events, false), &jobs));
    for violation in &violations {
        println!("{violation}");
    }
    println!("| figure | {} |\n|---|---:|", options.store);
    println!("| jobs | {} |", jobs.len());
    println!("| server away | {:.1} s |", away.as_secs_f64());
    println!("| answered with 200 | {} |", ends.count());
    println!("| broken promises | {} |", violations.len());
    println!("| end after the return, p50 | {} |", ends.at_most(0.5));
    println!("| end after the return, p99 | {} |", ends.at_most(0.99));
    Ok(violations.is_empty() && ends.count() == options.jobs)
}

async fn started(fleet: &Fleet, slot: usize) -> anyhow::Result<Process> {
    let process = fleet.start_one(slot)?;
    let listens = timeout(Duration::from_secs(20), process.listening());
    ensure!(listens.await == Ok(true), "a process does not start");
    Ok(process)
}

/// Submits jobs to the gateways in turn, half of them with a key. Returns them with their ids.
async fn submit(
    clients: &Clients,
    jobs: u64,
    addresses: &[SocketAddr],
) -> Vec<(Call, Option<String>)> {
    let calls = (0..jobs).map(|number| Call {
        number,
        work: Work::Run,
        task: Task {
            millis: 10,
            size: 64,
        },
        is_keyed: number % 4 < 2,
        is_async: number % 8 < 4,
        has_callback: false,
        padding: 0,
    });
    let submitted = calls
        .zip(addresses.iter().cycle())
        .map(|(call, to)| async move {
            let job = clients.submit(call, *to).await;
            (call, job)
        });
    stream::iter(submitted)
        .buffer_unordered(AT_ONCE)
        .collect()
        .await
}

/// Polls each job, at another gateway than accepted it, until it has ended. Returns the times of
/// successful ends since the return of the server.
async fn ends(
    clients: &Clients,
    jobs: &[(Call, Option<String>)],
    addresses: &[SocketAddr],
    back: Instant,
) -> Times {
    let polls = jobs
        .iter()
        .filter_map(|(call, job)| Some((*call, job.as_ref()?)));
    let polls = polls.map(|(call, job)| async move {
        let to = addresses[(call.number as usize + 1) % addresses.len()];
        while back.elapsed() < SETTLING {
            let look = clients.look_at(call, job, Some(to), "wait=4").await;
            match look.and_then(|(_, state)| state) {
                Some(state) if state.is_final() => {
                    return (state == JobState::Done).then(|| back.elapsed());
                }
                _ => sleep(Duration::from_millis(100)).await,
            }
        }
        None
    });
    let mut times = Times::default();
    let mut ends = stream::iter(polls).buffer_unordered(AT_ONCE);
    while let Some(end) = ends.next().await {
        end.into_iter().for_each(|time| times.add_one(time));
    }
    times
}

/// Checks that each job was accepted, and that its first and only run was its first attempt.
fn once(traces: &Traces<'_>, jobs: &[(Call, Option<String>)]) -> Vec<Violation> {
    let mut violations = Vec::new();
    for (call, job) in jobs {
        let runs = traces
            .by_call
            .get(&call.number)
            .map(|trace| &trace.runs[..]);
        let attempts: Vec<_> = runs
            .into_iter()
            .flatten()
            .map(|(_, run)| run.attempt)
            .collect();
        if job.is_none() || attempts != [1] {
            let text = format!("call {}: job {job:?}, attempts {attempts:?}", call.number);
            violations.push(Violation::new(Promise::BoundedRuns, text));
        }
    }
    violations
}
