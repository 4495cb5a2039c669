//! The command line.

use std::{path::PathBuf, time::Duration};

use clap::{Parser, ValueEnum};
use http::Uri;
use tower_async_job::PendingStatus;

use crate::config::{
    Listen, Overrides, Replay, Store,
    flags::{concurrency, ending, inline_wait, threads},
    values::{STORE_VARIABLE, admin, base, public_base, upstream_url},
};

/// Gives slow HTTP servers in any language pollable, durable jobs.
///
/// A request that its server answers quickly passes through. One that takes longer becomes a job: the
/// client is redirected to a URL, which it polls for the response.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100)]
pub(crate) struct Arguments {
    /// The server behind the gateway: http://, https:// or h2c:// (HTTP/2 without TLS).
    #[arg(
        long,
        value_name = "URL",
        value_parser = upstream_url,
        required_unless_present_any = ["config", "generate"]
    )]
    pub(crate) upstream: Option<Uri>,
    /// A file of settings in TOML, over which flags take precedence.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Checks the settings: reads certificates and keys, resolves the names of servers and opens the
    /// store. Prints all errors, and ends with 2 if there are any.
    #[arg(long, conflicts_with = "print_config")]
    pub(crate) check: bool,
    /// Prints the effective settings as a file that means the same. Secrets are named, not shown.
    #[arg(long)]
    pub(crate) print_config: bool,
    /// Prints a file of a package: the page of man, a file of all settings, the units of systemd, the
    /// reference of the manual in Markdown, or the completions of a shell.
    #[arg(long, value_name = "WHAT", conflicts_with_all = ["check", "print_config"])]
    pub(crate) generate: Option<Generate>,
    /// An address for clients: ADDRESS:PORT, unix:PATH or systemd. Port 0 is any free one. Default
    /// 127.0.0.1:8080.
    #[arg(long, value_name = "ADDR")]
    pub(crate) listen: Vec<Listen>,
    /// The place where jobs are kept: memory, sqlite:FILE, postgres://… or redis://…. Every user of
    /// the machine can read command lines, so give a URL with a password by the environment. Default
    /// memory.
    #[arg(
        long,
        value_name = "URL",
        env = STORE_VARIABLE,
        hide_env_values = true
    )]
    pub(crate) store: Option<Store>,
    /// The path of jobs. Default /work.
    #[arg(long, value_name = "PATH", value_parser = base)]
    pub(crate) base: Option<String>,
    /// The path or URL of jobs as clients see it, if a proxy before the gateway strips a prefix.
    #[arg(long, value_name = "URL", value_parser = public_base)]
    pub(crate) public_base: Option<String>,
    /// The time for a response before the request becomes a job. Default 1s.
    #[arg(long, value_name = "TIME", value_parser = inline_wait)]
    pub(crate) inline_wait: Option<Duration>,
    /// The status that announces a job: 303 for clients that follow redirects, 202 for browsers'
    /// fetch and other programs. Default 303.
    #[arg(long, value_name = "STATUS")]
    pub(crate) pending_status: Option<Pending>,
    /// The requests that may be sent again if the gateway or the server dies: idempotent (by
    /// method), keyed (those with an Idempotency-Key too), all or none. Default idempotent.
    #[arg(long, value_name = "REQUESTS")]
    pub(crate) replay: Option<Replay>,
    /// The number of requests that the server gets at once; others wait. Default: no limit.
    #[arg(long, value_name = "REQUESTS", value_parser = concurrency)]
    pub(crate) concurrency: Option<usize>,
    /// The address of operators: probes, metrics and jobs. It performs no authentication. Default:
    /// none.
    #[arg(long, value_name = "ADDR", value_parser = admin)]
    pub(crate) admin: Option<Listen>,
    /// The time between SIGTERM and the refusal of new requests, in which load balancers notice.
    /// Default 0s.
    #[arg(long, value_name = "TIME", value_parser = ending)]
    pub(crate) drain_delay: Option<Duration>,
    /// The time for running jobs after that. Default 25s.
    #[arg(long, value_name = "TIME", value_parser = ending)]
    pub(crate) grace: Option<Duration>,
    /// The number of threads. Default: one per core.
    #[arg(long, value_name = "THREADS", value_parser = threads)]
    pub(crate) threads: Option<usize>,
}

impl Arguments {
    pub(crate) fn overrides(&self) -> Overrides {
        Overrides {
            upstream: self.upstream.clone(),
            listen: self.listen.clone(),
            admin: self.admin.clone(),
            store: self.store.clone(),
            base: self.base.clone(),
            public_base: self.public_base.clone(),
            inline_wait: self.inline_wait,
            pending_status: self.pending_status.map(Pending::status),
            replay: self.replay,
            concurrency: self.concurrency,
            drain_delay: self.drain_delay,
            grace: self.grace,
            threads: self.threads,
        }
    }
}

/// A file that the program prints.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Generate {
    Man,
    Config,
    /// The service of systemd.
    Unit,
    /// The socket beside it.
    Socket,
    Reference,
    Bash,
    Elvish,
    Fish,
    Powershell,
    Zsh,
}

/// The status that announces a job.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Pending {
    #[value(name = "303")]
    SeeOther,
    #[value(name = "202")]
    Accepted,
}

impl Pending {
    fn status(self) -> PendingStatus {
        match self {
            Self::SeeOther => PendingStatus::SeeOther,
            Self::Accepted => PendingStatus::Accepted,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definition_is_sound() {
        Arguments::command().debug_assert();
    }
}
