//! Processes that die while their clients wait.
//!
//! ```text
//! cargo run --release -p reliability -- --store sqlite --kills 1000
//! ```
//!
//! Each round has a file of its own, and processes on it that are killed, stopped and terminated at
//! random moments, while clients make calls. Then its history is checked against the
//! [promises](check::Promise). `docs/reliability.md` says more.

mod calls;
mod check;
mod client;
mod figures;
mod file;
mod fleet;
mod full;
mod history;
mod process;
mod round;
mod run;
mod scenario;
mod server;

use std::{path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand, ValueEnum};

/// Kills processes while their clients wait, and checks that nothing that was accepted is lost.
#[derive(Parser)]
#[command(args_conflicts_with_subcommands = true)]
struct Args {
    /// The store under test.
    #[arg(long, value_enum, default_value = "sqlite")]
    store: Store,
    /// The number of kills, those of earlier runs included, after which no further round begins.
    #[arg(long, default_value = "1000", conflicts_with_all = ["seed", "short"])]
    kills: u64,
    /// The number of rounds at once, each with a file of its own.
    #[arg(long, default_value = "3")]
    files: usize,
    /// Repeats the round of this seed, and adds nothing to the figures.
    #[arg(long, conflicts_with = "short")]
    seed: Option<u64>,
    /// Runs every scenario once, and adds nothing to the figures.
    #[arg(long)]
    short: bool,
    /// Keeps the files of all rounds, instead of those in which a promise was broken.
    #[arg(long)]
    keep: bool,
    /// The directory for the figures, and for the files of rounds in which a promise was broken.
    #[arg(long, default_value = "target/reliability")]
    directory: PathBuf,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Store {
    Sqlite,
}

#[derive(Subcommand)]
enum Command {
    #[command(hide = true)]
    Serve(server::Serve),
}

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
        None => run::run(args).await,
    };
    match ended {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
