//! The arguments of the command.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

use crate::{deploy, keep_alive, server, subject::Subject, upstream};

/// Kills processes while their clients wait, and checks that nothing that was accepted is lost.
#[derive(Parser)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) subject: Subject,
    /// The number of kills, those of earlier runs included, after which no further round begins.
    #[arg(long, default_value = "1000", conflicts_with_all = ["seed", "short"])]
    pub(crate) kills: u64,
    /// The number of rounds at once, each with a store of its own.
    #[arg(long, default_value = "3")]
    pub(crate) at_once: usize,
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
    /// Default: target/reliability/STORE, or target/reliability/gateway-STORE.
    #[arg(long)]
    directory: Option<PathBuf>,
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

impl Args {
    pub(crate) fn directory(&self) -> PathBuf {
        let default = || PathBuf::from("target/reliability").join(self.subject.to_string());
        self.directory.clone().unwrap_or_else(default)
    }
}

#[derive(Subcommand)]
pub(crate) enum Command {
    #[command(hide = true)]
    Serve(server::Serve),
    #[command(hide = true)]
    Upstream(upstream::Upstream),
    Deploy(deploy::Deploy),
    KeepAlive(keep_alive::KeepAlive),
}
