//! The arguments of the command.

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};

use crate::server;

/// Kills processes while their clients wait, and checks that nothing that was accepted is lost.
#[derive(Parser)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Args {
    /// The store under test.
    #[arg(long, value_enum, default_value = "sqlite")]
    pub(crate) store: Store,
    /// The number of kills, those of earlier runs included, after which no further round begins.
    #[arg(long, default_value = "1000", conflicts_with_all = ["seed", "short"])]
    pub(crate) kills: u64,
    /// The number of rounds at once, each with a file of its own.
    #[arg(long, default_value = "3")]
    pub(crate) files: usize,
    /// Repeats the round of this seed, and adds nothing to the figures.
    #[arg(long, conflicts_with = "short")]
    pub(crate) seed: Option<u64>,
    /// Runs every scenario once, and adds nothing to the figures.
    #[arg(long)]
    pub(crate) short: bool,
    /// Keeps the files of all rounds, instead of those in which a promise was broken.
    #[arg(long)]
    pub(crate) keep: bool,
    /// The directory for the figures, and for the files of rounds in which a promise was broken.
    #[arg(long, default_value = "target/reliability")]
    pub(crate) directory: PathBuf,
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Store {
    Sqlite,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    #[command(hide = true)]
    Serve(server::Serve),
}
