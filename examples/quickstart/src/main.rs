//! A slow server and its client, which sees one request and one response.
//!
//! ```text
//! cargo run -p quickstart
//! cargo run --release -p quickstart -- FILE
//! ```
//!
//! The server compresses a file with xz at the highest level. Since this is slow, it answers early
//! with the URL of a job. The client posts the file and receives the compressed one. Neither contains
//! code for polling, which is in one layer on each side.
//!
//! Without a FILE, the server compresses the specification of the protocol, at a pace at which this
//! takes five seconds on any machine. The result is checked, and nothing is written.
//!
//! With `--store jobs.db`, the server keeps its jobs in that file, and a run that is killed is
//! continued by the next one.
//!
//! - [`server`] is an axum handler beneath `AsyncJobLayer`,
//! - [`client`] is hyper-util's client beneath `PollLayer`,
//! - [`watch`] is a layer between `PollLayer` and the client that observes each exchange, for the
//!   progress bar and the timeline.

mod client;
mod display;
mod files;
mod server;
mod watch;

use std::{
    net::Ipv4Addr,
    path::PathBuf,
    process::ExitCode,
    time::{Duration, SystemTime},
};

use anyhow::ensure;
use clap::Parser;
use tokio::net::TcpListener;

use self::{files::Files, server::Work};

/// The approximate number of bytes that are compressed within the inline wait of a second.
const TOO_QUICK: usize = 4 << 20;

/// Compresses a file with a slow server, and polls for the result.
#[derive(Parser)]
struct Args {
    /// The file to compress; without one, the specification of the protocol, for five seconds.
    file: Option<PathBuf>,
    /// The file for the result, which is replaced if it exists. Default: FILE.xz in the current
    /// directory; without a FILE, the result is not saved.
    #[arg(short, long, value_name = "PATH")]
    output: Option<PathBuf>,
    /// The file in which the server keeps its jobs, so that they outlive the process: if it is
    /// killed, the same command goes on with its job. Default: they are kept in memory.
    #[arg(long, value_name = "FILE")]
    store: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Args::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(args: Args) -> anyhow::Result<()> {
    let began = SystemTime::now();
    let paced = args.file.is_none();
    let files = Files::choose(args.file, args.output)?;
    let (name, input) = files.read()?;
    println!("{name}: {} bytes", input.len());

    let mut work = Work::default();
    if paced {
        work = Work::in_seconds(5, input.len());
        println!("compressed at a pace at which this takes five seconds on any machine");
    } else if input.len() < TOO_QUICK {
        work.inline_wait = Duration::ZERO;
        println!("a file of this size would be compressed before the server defers the request;");
        println!("for this run, the server defers it immediately (inline wait of zero)");
    }

    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let url = format!("http://{}/compress", listener.local_addr()?);
    let app = server::app(input.len(), work, args.store).await?;
    tokio::spawn(axum::serve(listener, app).into_future());

    let (compressed, exchanges) = client::compress(&url, input.clone()).await?;

    ensure!(
        files.save(&compressed)? == input,
        "the result does not decompress to the input"
    );
    println!("decompressed and compared: the same as the input\n");
    if exchanges
        .iter()
        .any(|exchange| exchange.is_of_job_before(began))
    {
        println!("found again: the job of an earlier run, by its Idempotency-Key");
    }
    display::print_timeline(&exchanges);
    Ok(())
}
