//! The subcommands for jobs.

use std::time::Duration;

use clap::Args;

use super::{connection::Connection, follow::Follow};
use crate::{
    job::{self, Handle},
    request::{Origin, Target},
    words::limit,
};

/// The arguments of `resume`.
#[derive(Debug, Args)]
pub(crate) struct Resume {
    #[command(flatten)]
    pub(crate) given: Given,
    #[command(flatten)]
    pub(crate) follow: Follow,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

/// The arguments of `status`.
#[derive(Debug, Args)]
pub(crate) struct Status {
    #[command(flatten)]
    pub(crate) given: Given,
    /// Prints the server's status document, or an equivalent of it
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) limit: Limit,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

/// The arguments of `cancel`.
#[derive(Debug, Args)]
pub(crate) struct Cancel {
    #[command(flatten)]
    pub(crate) given: Given,
    #[command(flatten)]
    pub(crate) limit: Limit,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

/// The arguments of `list`.
#[derive(Debug, Args)]
pub(crate) struct List {
    /// The URL of the list, or of a job in it; http:// may be omitted
    #[arg(value_name = "URL")]
    pub(crate) url: Target,
    /// The maximum number of jobs, for which pages are followed
    #[arg(
        long = "limit",
        value_name = "NUMBER",
        default_value_t = 50,
        value_parser = clap::value_parser!(u32).range(1..=100_000)
    )]
    pub(crate) number: u32,
    /// Prints the status document of each job, one in each line
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) limit: Limit,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

/// A job, and the origins that may receive credentials for it.
#[derive(Debug, Args)]
pub(crate) struct Given {
    /// The job: its URL, its JSON, a file with its JSON, or - for standard
    /// input
    #[arg(value_name = "JOB", value_parser = job::read)]
    pub(crate) job: Handle,
    /// Allows credentials to be sent to the origin in the job's JSON, if it is
    /// this one; without a value, to any
    ///
    /// Not needed if the job is given by its URL.
    #[arg(
        long,
        value_name = "ORIGIN",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "*"
    )]
    pub(crate) trust_origin: Vec<Origin>,
}

/// The time limit of one exchange.
#[derive(Debug, Args)]
pub(crate) struct Limit {
    /// The longest time for the whole exchange; 0 is none
    #[arg(
        short = 'm',
        long,
        visible_alias = "max-time",
        value_name = "DURATION",
        value_parser = limit,
        default_value = "30s"
    )]
    pub(crate) deadline: Duration,
}
