//! The throughput of the store in a SQLite file, beside raw SQLite with group commit on the same
//! schema.
//!
//! ```text
//! cargo bench -p benches --bench durable
//! ```
//!
//! 64 clients let jobs live one after another: each is created running with a request of 1 KiB, and
//! finished with a result of 1 KiB, which are two operations, each answered once it is committed.
//! Store and peer take turns of a second on new files. A small library that is loaded before that
//! of C sets the duration of a flush, so that the disk has no part in the ratio. A run takes half a
//! minute and needs a C compiler.

mod raw;
mod store;

use std::{
    env,
    error::Error,
    fs, io,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use rustix::time::{ClockId, clock_gettime};
use tempfile::TempDir;
use tokio::{runtime::Runtime, task::JoinSet};

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

/// The goal: the share of the peer's rate.
const SHARE: f64 = 0.9;

/// The bound of the log, in bytes.
const LOG: u64 = 64 << 20;

fn main() -> Outcome<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["measure", flush] => measure(flush),
        // `cargo test --benches` runs this too, without that argument.
        _ if !arguments.iter().any(|argument| argument == "--bench") => Ok(()),
        _ => start(),
    }
}

/// Measures in processes with flushes of set durations.
fn start() -> Outcome<()> {
    let directory = TempDir::new()?;
    let library = directory.path().join("flush.so");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/durable/flush.c");
    let compiled = Command::new("cc")
        .args(["-O2", "-shared", "-fPIC", "-o"])
        .args([&library, &source])
        .status()?;
    if !compiled.success() {
        return Err("the library could not be compiled".into());
    }
    println!(
        "| flush | jobs/s | raw | share | goal | kept | CPU a job | raw | polls/s while writing | \
         bytes of a job | log |\n|---|---:|---:|---:|---:|---|---:|---:|---:|---:|---:|"
    );
    for (micros, name) in [("0", "none"), ("1000", "1 ms")] {
        let measured = Command::new(env::current_exe()?)
            .args(["measure", name])
            .env("FLUSH_MICROS", micros)
            .env("LD_PRELOAD", &library)
            .status()?;
        if !measured.success() {
            return Err("a process of the measurement has failed".into());
        }
    }
    Ok(())
}

/// A turn's jobs per second, and the bytes of the file and of its log at its end.
struct Turn {
    rate: f64,
    /// The processor time of a job in microseconds, clients included.
    cpu: f64,
    polls: f64,
    bytes_of_a_job: f64,
    log: u64,
}

fn measure(flush: &str) -> Outcome<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let mut turns = Vec::new();
    for turn in 0..TURNS {
        // So that neither is always the first.
        let (store, raw) = if turn % 2 == 0 {
            let store = turn_of_store(&runtime, 0)?;
            (store, turn_of_raw(&runtime)?)
        } else {
            let raw = turn_of_raw(&runtime)?;
            (turn_of_store(&runtime, 0)?, raw)
        };
        turns.push((store, raw));
    }
    let polled = turn_of_store(&runtime, POLLERS)?;
    let share = median(turns.iter().map(|(store, raw)| store.rate / raw.rate));
    let log = turns.iter().map(|(store, _)| store.log).max().unwrap_or(0);
    let log = log.max(polled.log);
    println!(
        "| {flush} | {:.0} | {:.0} | {share:.2} | ≥ {SHARE} | {} | {:.0} µs | {:.0} µs | {:.0} beside {:.0} jobs/s | {:.0} | \
         {:.1} MiB, {} |",
        median(turns.iter().map(|(store, _)| store.rate)),
        median(turns.iter().map(|(_, raw)| raw.rate)),
        if share >= SHARE { "yes" } else { "no" },
        median(turns.iter().map(|(store, _)| store.cpu)),
        median(turns.iter().map(|(_, raw)| raw.cpu)),
        polled.polls,
        polled.rate,
        median(turns.iter().map(|(store, _)| store.bytes_of_a_job)),
        log as f64 / f64::from(1 << 20),
        if log <= LOG {
            "within its bound"
        } else {
            "beyond its bound"
        },
    );
    Ok(())
}

fn turn_of_store(runtime: &Runtime, pollers: usize) -> Outcome<Turn> {
    let (_directory, path) = file()?;
    let store = runtime.block_on(store::open(&path))?;
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
    let (cpu, log) = (processor_time() - begun, log(&path));
    drop(store);
    finished(&path, [jobs, polls], cpu, log)
}

fn turn_of_raw(runtime: &Runtime) -> Outcome<Turn> {
    let (_directory, path) = file()?;
    // It creates the tables.
    drop(runtime.block_on(store::open(&path))?);
    let raw = std::sync::Arc::new(raw::Raw::open(&path)?);
    let begun = processor_time();
    let jobs = runtime.block_on(async {
        let until = Instant::now() + TURN;
        let mut clients = JoinSet::new();
        for client in 0..CLIENTS {
            let raw = raw.clone();
            clients.spawn(async move {
                let mut jobs = 0;
                while Instant::now() < until {
                    // Keys are random, as those of jobs are.
                    let key = (rand::random::<u64>() >> 1) as i64 ^ client as i64;
                    let request = raw.perform(raw::Operation::Create { key }).await;
                    let finish = raw::Operation::Finish { key, request };
                    raw.perform(finish).await;
                    jobs += 1;
                }
                jobs
            });
        }
        clients.join_all().await.into_iter().sum()
    });
    let (cpu, log) = (processor_time() - begun, log(&path));
    drop(raw);
    finished(&path, [jobs, 0], cpu, log)
}

fn file() -> io::Result<(TempDir, PathBuf)> {
    let directory = TempDir::new_in(env!("CARGO_TARGET_TMPDIR"))?;
    let path = directory.path().join("jobs.db");
    Ok((directory, path))
}

/// Returns the size of the log, which never shrinks while its file is open.
fn log(path: &Path) -> u64 {
    fs::metadata(path.with_extension("db-wal")).map_or(0, |log| log.len())
}

/// Returns the figures of a turn, once its file is closed.
fn finished(path: &Path, [jobs, polls]: [usize; 2], cpu: Duration, log: u64) -> Outcome<Turn> {
    copy_log(path)?;
    let seconds = TURN.as_secs_f64();
    let jobs = jobs.max(1) as f64;
    Ok(Turn {
        rate: jobs / seconds,
        cpu: 1e6 * cpu.as_secs_f64() / jobs,
        polls: polls as f64 / seconds,
        bytes_of_a_job: fs::metadata(path)?.len() as f64 / jobs,
        log,
    })
}

/// Copies the log into the file as a whole. Its connections, which close concurrently, may leave
/// that out.
fn copy_log(path: &Path) -> rusqlite::Result<()> {
    let connection = rusqlite::Connection::open(path)?;
    let copy = "PRAGMA wal_checkpoint(TRUNCATE)";
    while connection.query_row(copy, [], |row| row.get::<_, i64>(0))? != 0 {
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(())
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
