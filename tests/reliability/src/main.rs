//! Processes that die while their clients wait.
//!
//! ```text
//! cargo run --release -p reliability -- --store sqlite --kills 1000
//! ```
//!
//! Each round has a store of its own, and processes on it that are killed, stopped and terminated at
//! random moments, and cut off from its servers, while clients make calls. Then its history is
//! checked against the [promises](check::Promise). `docs/reliability.md` says more.

mod args;
mod behind;
mod calls;
mod check;
mod client;
mod clock;
mod deploy;
mod figures;
mod fleet;
mod full;
mod history;
mod keep_alive;
mod links;
mod plan;
mod process;
mod program;
mod round;
mod run;
mod scenario;
mod server;
mod store;
mod subject;
mod times;
mod upstream;

use std::process::ExitCode;

use clap::Parser;
use test_services::Missing;

use self::args::{Args, Command};

/// The exit status if the servers cannot be had on this machine.
const NOT_RUN: u8 = 77;

#[tokio::main]
async fn main() -> ExitCode {
    let args = Args::parse();
    let ended = match args.command {
        Some(Command::Serve(options)) => {
            tracing_subscriber::fmt()
                .with_writer(std::io::stderr)
                .with_ansi(false)
                .init();
            server::run(options).await.map(|()| true)
        }
        Some(Command::Upstream(options)) => upstream::run(options).await.map(|()| true),
        Some(Command::Deploy(options)) => deploy::run(options).await,
        Some(Command::KeepAlive(options)) => keep_alive::run(options).await,
        None => run::run(args).await,
    };
    match ended {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => match error.downcast_ref::<Missing>() {
            Some(missing) => {
                eprintln!("{missing}");
                ExitCode::from(NOT_RUN)
            }
            None => {
                eprintln!("error: {error:#}");
                ExitCode::FAILURE
            }
        },
    }
}
