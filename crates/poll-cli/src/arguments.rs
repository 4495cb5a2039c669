//! The command line.

mod values;

use std::{path::PathBuf, time::Duration};

use clap::{Args, Parser, Subcommand, ValueEnum};
use http::{HeaderName, Method};
use tower_poll::PendingJob;

pub(crate) use self::values::{EXAMPLES, Origin};
use self::values::{duration, method};
use crate::{
    exit::{Code, Failure},
    job,
    output::Output,
    request::{HeaderLine, Part, Target},
};

/// curl's manners for APIs that answer by polling.
///
/// Sends a request, follows pending answers (303 and 202 with Location and
/// Retry-After, Azure's Operation-Location, OGC API Processes, FHIR, OData)
/// to the end, and writes the final body to standard output.
#[derive(Debug, Parser)]
#[command(
    name = "poll",
    version,
    args_conflicts_with_subcommands = true,
    disable_help_subcommand = true,
    subcommand_negates_reqs = true,
    after_help = "`poll --help` has examples and the exit codes.",
    after_long_help = values::after_help()
)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    #[command(flatten)]
    pub(crate) send: Send,
}

impl Arguments {
    /// What clap does not see.
    ///
    /// # Errors
    ///
    /// A failure of usage.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        let follow = match &self.command {
            None => &self.send.follow,
            Some(Command::Resume(resume)) => &resume.follow,
            Some(_) => return Ok(()),
        };
        if follow.min_delay > follow.max_delay {
            let text = "--min-delay is longer than --max-delay";
            return Err(Failure::new(Code::Usage, text));
        }
        let inputs = self
            .send
            .data
            .iter()
            .filter(|part| **part == Part::StandardInput);
        if inputs.count() > 1 {
            let text = "standard input can be read only once";
            return Err(Failure::new(Code::Usage, text));
        }
        Ok(())
    }
}

/// What to do with a job that was accepted before. JOB is the JSON that
/// `--no-wait` prints and failures tell, the name of a file with it, or `-`
/// for standard input.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Follows a job to the end and writes its answer
    ///
    /// Headers and credentials are not part of the job: give -H and -u again.
    Resume(Resume),
    /// Asks once where a job stands
    ///
    /// Prints one line, such as `pending (running), 25 %; poll 2 in 3s` or
    /// `done: 200 OK`. Exits with 0 if the job is pending or done, and with
    /// 22 if it failed, was cancelled, expired or is unknown, or if its
    /// answer is a 4xx or 5xx.
    Status(Status),
    /// Asks the server to stop a job (DELETE)
    ///
    /// Exits with 0 if the server says that it cancels (202) or has dropped
    /// the job (200, 204), with 22 otherwise.
    Cancel(Cancel),
}

/// The arguments of a submission.
#[derive(Debug, Args)]
pub(crate) struct Send {
    /// Where to send the request; http:// may be left out
    #[arg(required_unless_present = "generate", value_name = "URL")]
    pub(crate) url: Option<Target>,
    /// The method. GET by default, POST with -d
    #[arg(short = 'X', long = "request", value_name = "METHOD", value_parser = method)]
    pub(crate) method: Option<Method>,
    /// Sends this as the body: the text, @FILE, or @- for standard input
    ///
    /// Files and standard input are sent as they are, while they are read.
    /// Several are joined by `&`. The type is
    /// application/x-www-form-urlencoded unless -H says otherwise.
    #[arg(short, long, value_name = "DATA|@FILE|@-")]
    pub(crate) data: Vec<Part>,
    /// Asks the server to accept the work at once (Prefer: respond-async)
    #[arg(long)]
    pub(crate) prefer_async: bool,
    /// Makes it safe to send the request again, and does so if it is not
    /// answered
    ///
    /// Adds a random Idempotency-Key to requests that may change something,
    /// unless -H gives one. After a lost connection, 408, 429, 500, 502, 503
    /// or 504 the request is sent again, up to 3 times in all. For this the
    /// body is read whole before it is sent, up to 64 MiB.
    #[arg(long)]
    pub(crate) idempotent: bool,
    /// Does not wait for a pending job, and prints its handle as JSON
    ///
    /// An answer that is final at once is written as always.
    #[arg(long)]
    pub(crate) no_wait: bool,
    #[command(flatten)]
    pub(crate) follow: Follow,
    #[command(flatten)]
    pub(crate) connection: Connection,
    /// Prints a man page or a completion script, and ends
    #[arg(long, value_name = "WHAT", exclusive = true)]
    pub(crate) generate: Option<Generate>,
}

/// The arguments of `resume`.
#[derive(Debug, Args)]
pub(crate) struct Resume {
    /// The job: its JSON, a file with it, or - for standard input
    #[arg(value_parser = job::read)]
    pub(crate) job: PendingJob,
    #[command(flatten)]
    pub(crate) follow: Follow,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

/// The arguments of `status`.
#[derive(Debug, Args)]
pub(crate) struct Status {
    /// The job: its JSON, a file with it, or - for standard input
    #[arg(value_parser = job::read)]
    pub(crate) job: PendingJob,
    /// Prints the server's status document, or what stands for one
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

/// The arguments of `cancel`.
#[derive(Debug, Args)]
pub(crate) struct Cancel {
    /// The job: its JSON, a file with it, or - for standard input
    #[arg(value_parser = job::read)]
    pub(crate) job: PendingJob,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

/// How to wait, and what to do with the answer.
#[derive(Clone, Debug, Args)]
pub(crate) struct Follow {
    /// How long it may take in all, such as 90s or 1h30m
    ///
    /// Where it is given, it also ends a submission that is not answered and
    /// a final body that does not end. Without it polling ends after an hour.
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(crate) deadline: Option<Duration>,
    /// How many polls may be sent
    #[arg(long, value_name = "NUMBER", default_value_t = 1000)]
    pub(crate) max_polls: u32,
    /// The shortest delay between polls, whatever the server asks for
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "100ms")]
    pub(crate) min_delay: Duration,
    /// The longest delay between polls, whatever the server asks for
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "60s")]
    pub(crate) max_delay: Duration,
    /// Asks the server to hold each answer for so long (Prefer: wait), in
    /// whole seconds
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(crate) wait: Option<Duration>,
    /// Which resource has the result of an Azure operation
    ///
    /// For operations whose description names one (`final-state-via`). It is
    /// found by itself otherwise. It is not part of the job's handle.
    #[arg(long, value_name = "WHERE")]
    pub(crate) final_state: Option<FinalState>,
    /// After Ctrl-C, waits 5 s for another one, which cancels the job at the
    /// server
    ///
    /// The first Ctrl-C always prints the job's handle to resume with.
    #[arg(long)]
    pub(crate) cancel_on_interrupt: bool,
    /// Writes to a file, which is there whole or not at all; - is standard
    /// output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Writes the head of the final response before its body
    #[arg(short, long)]
    include: bool,
}

impl Follow {
    /// `-o` and `-i`.
    pub(crate) fn output(&self) -> Output {
        Output {
            file: self.output.clone().filter(|file| file.as_os_str() != "-"),
            with_head: self.include,
        }
    }
}

/// How to talk to the server.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct Connection {
    /// A header to send, `Name: value`; `Name;` sends it empty, `Name:` not
    /// at all
    ///
    /// It can be given several times. Polls carry only Accept,
    /// Accept-Encoding, Accept-Language, User-Agent, TE, trace context and,
    /// to the origin of the submission, Authorization, Cookie and Host.
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE")]
    pub(crate) headers: Vec<HeaderLine>,
    /// A header of -H that polls carry too
    #[arg(long, value_name = "NAME")]
    pub(crate) keep_header: Vec<HeaderName>,
    /// User and password, sent as Authorization: Basic; as in
    /// http://user:password@host
    #[arg(short, long, value_name = "USER:PASSWORD")]
    pub(crate) user: Option<String>,
    /// Allows polls on other origins: this one, or without a value all whose
    /// host is public
    ///
    /// It can be given several times. Credentials stay with the origin of
    /// the submission. From https to http is refused always. Private and
    /// local addresses must be named.
    #[arg(
        long,
        value_name = "ORIGIN",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "*"
    )]
    pub(crate) cross_origin: Vec<Origin>,
    /// Uses HTTP/2 only; for http:// without asking (prior knowledge)
    #[arg(long)]
    pub(crate) http2: bool,
    /// Shows the head of each request and response, credentials left out
    #[arg(short, long)]
    pub(crate) verbose: bool,
    /// Does not show progress
    #[arg(short, long)]
    pub(crate) silent: bool,
}

/// The values of `--final-state`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum FinalState {
    /// Where Location says
    Location,
    /// The URL of the submission
    OriginalUri,
    /// The document at Operation-Location
    OperationLocation,
    /// The document at Azure-AsyncOperation
    AzureAsyncOperation,
}

/// The values of `--generate`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Generate {
    /// poll(1)
    Man,
    /// poll-resume(1)
    ManResume,
    /// poll-status(1)
    ManStatus,
    /// poll-cancel(1)
    ManCancel,
    /// Completions for bash
    Bash,
    /// Completions for elvish
    Elvish,
    /// Completions for fish
    Fish,
    /// Completions for PowerShell
    Powershell,
    /// Completions for zsh
    Zsh,
}

#[cfg(test)]
mod tests;
