//! The throughput of the durable stores, each beside the raw commands of its database in the same
//! run.
//!
//! ```text
//! cargo bench -p benches --features stores --bench durable                # all stores
//! cargo bench -p benches --features stores --bench durable -- postgres    # one
//! cargo bench -p benches --features stores --bench durable -- backlog     # a backlog instead, by all stores or one
//! ```
//!
//! 64 clients let jobs live one after another: each is created running with a request of 1 KiB, and
//! finished with a result of 1 KiB, which are two operations, each answered once it is committed.
//! Store and peer take turns of a second on new data. A small library that is loaded before that of
//! C sets the duration of a flush, so that the disk has no part in the ratio. It is loaded into this
//! process, which is SQLite's, and into the servers, which it starts. A run takes half a minute per
//! store and needs a C compiler.
//!
//! A backlog is 100,000 jobs that wait, without flushes. Four workers claim 32 of them at once, and
//! finish those. The 99th percentile of the durations of claims stays within three times of that at
//! the beginning. It takes up to two minutes per store.

mod backlog;
mod flush;
mod place;
mod postgres;
mod redis;
mod sqlite;
mod store;

use std::{
    env,
    error::Error,
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};

use rustix::time::{ClockId, clock_gettime};
use tokio::{runtime::Runtime, task::JoinSet};

use self::place::{Peer, Place};

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// The number of clients.
const CLIENTS: usize = 64;

/// The number of tasks that poll while the clients write.
const POLLERS: usize = 64;

/// The duration of a turn.
const TURN: Duration = Duration::from_secs(1);

const TURNS: usize = 5;

/// The bytes of each request and each result.
static PAYLOAD: [u8; 1024] = [b'x'; 1024];

const STORES: [&str; 3] = ["sqlite", "postgres", "redis"];

fn main() -> Outcome<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let is_bench = arguments.iter().any(|argument| argument == "--bench");
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["measure", store, flush] => measure(store, flush),
        ["drain", store] => drain(store),
        // `cargo test --benches` runs this too, without that argument.
        _ if !is_bench => Ok(()),
        _ => start(&arguments),
    }
}

/// Measures in processes with flushes of set durations.
fn start(arguments: &[String]) -> Outcome<()> {
    let flush = flush::Library::compile()?;
    let named = |name: &str| arguments.iter().any(|argument| argument == name);
    let all = !STORES.iter().any(|store| named(store));
    let stores = STORES.into_iter().filter(|store| all || named(store));
    let run = |arguments: &[&str], micros| {
        let mut command = Command::new(env::current_exe()?);
        command.args(arguments);
        flush.load(&mut command, micros);
        match command.status()?.success() {
            true => Ok(()),
            false => Outcome::Err("a process of the measurement has failed".into()),
        }
    };
    if named("backlog") {
        println!(
            "| store | jobs/s filled | drained | claims' p50 by tenths (ms) | p99 | growth | flat |\n\
             |---|---:|---:|---|---|---:|---|"
        );
        return stores
            .into_iter()
            .try_for_each(|store| run(&["drain", store], "0"));
    }
    println!(
        "| store | flush | jobs/s | raw | share | goal | kept | CPU a job | raw | \
         polls/s while writing | bytes of a job | log |\n\
         |---|---|---:|---:|---:|---:|---|---:|---:|---:|---:|---|"
    );
    for store in stores {
        for (micros, name) in [("0", "none"), ("1000", "1 ms")] {
            run(&["measure", store, name], micros)?;
        }
    }
    Ok(())
}

/// The figures of a turn.
struct Turn {
    rate: f64,
    /// The processor time of a job in microseconds, clients included and servers not.
    cpu: f64,
    polls: f64,
    bytes_of_a_job: f64,
    log: Option<u64>,
}

/// Starts the place of a store, and a runtime for its clients.
fn begin(store: &str) -> Outcome<(Runtime, Box<dyn Place>)> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let place: Box<dyn Place> = match store {
        "sqlite" => Box::new(sqlite::File::default()),
        "postgres" => Box::new(postgres::Schema::start()?),
        _ => Box::new(redis::Database::start()?),
    };
    Ok((runtime, place))
}

fn drain(name: &str) -> Outcome<()> {
    let (runtime, mut place) = begin(name)?;
    place.empty()?;
    let store = runtime.block_on(place.store())?;
    println!("{}", runtime.block_on(backlog::measure(name, store)));
    Ok(())
}

fn measure(store: &str, flush: &str) -> Outcome<()> {
    let (runtime, mut place) = begin(store)?;
    let mut turns = Vec::new();
    for turn in 0..TURNS {
        // So that neither is always the first.
        let (store, raw) = if turn % 2 == 0 {
            let store = turn_of_store(&runtime, &mut *place, 0)?;
            (store, turn_of_peer(&runtime, &mut *place)?)
        } else {
            let raw = turn_of_peer(&runtime, &mut *place)?;
            (turn_of_store(&runtime, &mut *place, 0)?, raw)
        };
        turns.push((store, raw));
    }
    let polled = turn_of_store(&runtime, &mut *place, POLLERS)?;
    let goal = place.goal();
    let share = median(turns.iter().map(|(store, raw)| store.rate / raw.rate));
    let stores = turns.iter().map(|(store, _)| store).chain([&polled]);
    let log = stores.filter_map(|turn| turn.log).max();
    println!(
        "| {store} | {flush} | {:.0} | {:.0} | {share:.2} | ≥ {goal} | {} | {:.0} µs | {:.0} µs | \
         {:.0} beside {:.0} jobs/s | {:.0} | {} |",
        median(turns.iter().map(|(store, _)| store.rate)),
        median(turns.iter().map(|(_, raw)| raw.rate)),
        if share >= goal { "yes" } else { "no" },
        median(turns.iter().map(|(store, _)| store.cpu)),
        median(turns.iter().map(|(_, raw)| raw.cpu)),
        polled.polls,
        polled.rate,
        median(turns.iter().map(|(store, _)| store.bytes_of_a_job)),
        log.map_or_else(String::new, sqlite::words_of_log),
    );
    Ok(())
}

fn turn_of_store(runtime: &Runtime, place: &mut dyn Place, pollers: usize) -> Outcome<Turn> {
    place.empty()?;
    let store = runtime.block_on(place.store())?;
    let begun = processor_time();
    let (jobs, polls) = runtime.block_on(async {
        let until = Instant::now() + TURN;
        let mut clients = JoinSet::new();
        for _ in 0..CLIENTS {
            clients.spawn(store::live(store.clone(), until));
        }
        let mut readers = JoinSet::new();
        for _ in 0..pollers {
            readers.spawn(store::poll(store.clone(), until));
        }
        let jobs: usize = clients.join_all().await.into_iter().sum();
        (jobs, readers.join_all().await.into_iter().sum::<usize>())
    });
    let (cpu, log) = (processor_time() - begun, place.log());
    drop(store);
    finished(place, [jobs, polls], cpu, log)
}

fn turn_of_peer(runtime: &Runtime, place: &mut dyn Place) -> Outcome<Turn> {
    place.empty()?;
    // It creates the tables.
    drop(runtime.block_on(place.store())?);
    let peer: Arc<dyn Peer> = runtime.block_on(place.peer())?;
    let begun = processor_time();
    let jobs = runtime.block_on(async {
        let until = Instant::now() + TURN;
        let mut clients = JoinSet::new();
        for _ in 0..CLIENTS {
            let peer = peer.clone();
            clients.spawn(async move {
                let mut jobs = 0;
                while Instant::now() < until {
                    peer.live().await;
                    jobs += 1;
                }
                jobs
            });
        }
        clients.join_all().await.into_iter().sum()
    });
    let (cpu, log) = (processor_time() - begun, place.log());
    drop(peer);
    finished(place, [jobs, 0], cpu, log)
}

/// Returns the figures of a turn, once its connections are closed.
fn finished(
    place: &dyn Place,
    [jobs, polls]: [usize; 2],
    cpu: Duration,
    log: Option<u64>,
) -> Outcome<Turn> {
    let seconds = TURN.as_secs_f64();
    let jobs = jobs.max(1) as f64;
    Ok(Turn {
        rate: jobs / seconds,
        cpu: 1e6 * cpu.as_secs_f64() / jobs,
        polls: polls as f64 / seconds,
        bytes_of_a_job: place.bytes()? as f64 / jobs,
        log,
    })
}

fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

fn median(figures: impl Iterator<Item = f64>) -> f64 {
    let mut figures: Vec<f64> = figures.collect();
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}
