//! The command line.

mod check;
mod connection;
mod follow;
mod jobs;
mod proxy;
mod values;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use http::Method;

use self::values::method;
pub(crate) use self::{
    check::{Check, Number},
    connection::Connection,
    follow::{FinalState, Follow},
    jobs::{Cancel, Given, List, Resume, Status},
    proxy::Proxy,
    values::EXAMPLES,
};
use crate::{
    exit::{Code, Failure},
    request::{Field, Parameter, Part, Target},
};

/// The failure of a command line that reads standard input twice.
const INPUTS: &str = "standard input can be read only once";

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
    /// Checks the conditions that clap cannot express.
    ///
    /// # Errors
    ///
    /// A failure of usage.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        if let Some(Command::Check(check)) = &self.command {
            let inputs = check
                .data
                .iter()
                .filter(|part| **part == Part::StandardInput);
            return match inputs.count() {
                0 | 1 => Ok(()),
                _ => Err(Failure::new(Code::Usage, INPUTS)),
            };
        }
        let follow = match &self.command {
            None => &self.send.follow,
            Some(Command::Resume(resume)) => &resume.follow,
            Some(_) => return Ok(()),
        };
        if follow
            .max_delay
            .is_some_and(|max_delay| follow.min_delay > max_delay)
        {
            let text = "--min-delay is longer than --max-delay";
            return Err(Failure::new(Code::Usage, text));
        }
        let send = &self.send;
        if send.head && !send.get && send.has_body() {
            let text = "-I sends no body; with -G, data goes into the query";
            return Err(Failure::new(Code::Usage, text));
        }
        if send.inputs() > 1 {
            return Err(Failure::new(Code::Usage, INPUTS));
        }
        Ok(())
    }
}

/// The actions on a job that was accepted earlier, and on a server.
///
/// JOB is its URL, its JSON as printed by `--no-wait` and by failures, the name
/// of a file with that JSON, or `-` for standard input.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Follows a job to the end and writes its answer
    ///
    /// Headers and credentials are not part of the job: give -H and -u again.
    Resume(Resume),
    /// Prints the state of a job, after one poll
    ///
    /// Prints one line, such as `pending (running), 25 %; poll 2 in 3 s` or
    /// `done: 200 OK`. Exits with 0 if the job is pending or done, and with
    /// 22 if it failed, was cancelled, expired or is unknown, or if its
    /// answer is a 4xx or 5xx.
    Status(Status),
    /// Asks the server to stop a job (DELETE)
    ///
    /// Exits with 0 if the server cancels the job (202) or has deleted it
    /// (200, 204), and with 22 otherwise.
    Cancel(Cancel),
    /// Checks a server against the requirements of the protocol
    ///
    /// Sends a slow request up to 12 times, and at most 200 requests in all,
    /// and deletes its jobs. Prints a line for each requirement: pass, FAIL,
    /// warn for a recommendation, n/a for what the server does not offer or a
    /// client cannot see, and timeout for what did not come in time. Exits
    /// with 0 if nothing failed, with 1 if something did, and with 3 if the
    /// server never deferred the request.
    Check(Box<Check>),
    /// Lists the caller's own jobs, newest first
    ///
    /// URL is that of the list, or of any of its jobs. Prints a table, or with
    /// --json the status document of each job in a line. Only for servers that
    /// list jobs by their principal, such as `AsyncJobLayer` with
    /// `list_own_jobs`.
    List(List),
}

/// The arguments of a submission.
#[derive(Debug, Args)]
pub(crate) struct Send {
    /// The URL to send the request to; http:// may be omitted
    #[arg(required_unless_present = "generate", value_name = "URL")]
    pub(crate) url: Option<Target>,
    /// The method. GET by default, POST with -d, --json and -F, HEAD with -I
    #[arg(short = 'X', long = "request", value_name = "METHOD", value_parser = method)]
    pub(crate) method: Option<Method>,
    /// Sends this as the body: the text, @FILE, or @- for standard input
    ///
    /// Files and standard input are streamed unchanged. Several values are
    /// joined by `&`. The type is application/x-www-form-urlencoded unless -H
    /// sets another.
    #[arg(
        short,
        long,
        visible_alias = "data-binary",
        value_name = "DATA|@FILE|@-",
        conflicts_with_all = ["json", "form", "form_string"]
    )]
    pub(crate) data: Vec<Part>,
    /// Sends this as JSON: like -d, with Content-Type and Accept of
    /// application/json; several values are joined without a separator
    #[arg(
        long,
        value_name = "DATA|@FILE|@-",
        conflicts_with_all = ["form", "form_string", "get"]
    )]
    pub(crate) json: Vec<Part>,
    /// Sends a field of a form (multipart/form-data): NAME=TEXT, NAME=@FILE to
    /// upload a file, NAME=<FILE for a text in a file
    ///
    /// `;type=TYPE` and `;filename=NAME` may follow; words may be quoted.
    /// With an Idempotency-Key the same command makes the same body. For this
    /// the body is read whole before it is sent, up to 64 MiB.
    #[arg(short = 'F', long, value_name = "NAME=CONTENT", conflicts_with = "get")]
    pub(crate) form: Vec<Field>,
    /// Like -F, with a text in which no character is special; follows all -F
    #[arg(
        long,
        value_name = "NAME=TEXT",
        value_parser = Field::literal,
        conflicts_with = "get"
    )]
    pub(crate) form_string: Vec<Field>,
    /// Sends the data of -d in the query, and GET
    #[arg(short = 'G', long)]
    pub(crate) get: bool,
    /// Sends HEAD, and writes the head of the final response
    #[arg(short = 'I', long, conflicts_with = "continues")]
    pub(crate) head: bool,
    /// Adds to the query: TEXT, NAME=TEXT or NAME@FILE, which are encoded, or
    /// +TEXT, which is not
    #[arg(long, value_name = "NAME=TEXT")]
    pub(crate) url_query: Vec<Parameter>,
    /// Asks the server to accept the work immediately (Prefer: respond-async)
    #[arg(long)]
    pub(crate) prefer_async: bool,
    /// Makes the request safe to repeat, and repeats it if it is not answered
    ///
    /// Adds a random Idempotency-Key to requests with unsafe methods, unless
    /// -H sets one, and implies --retry 3, unless --retry is given.
    #[arg(long)]
    pub(crate) idempotent: bool,
    /// The maximum number of times that the request is repeated if it is not
    /// answered
    ///
    /// Repeats after a lost connection, 408, 429, 500, 502, 503 or 504, and
    /// only GET, HEAD, OPTIONS, TRACE, PUT and DELETE, or requests with an
    /// Idempotency-Key. For this the body is read whole before it is sent, up
    /// to 64 MiB. Polls are repeated independently of this option.
    #[arg(long, value_name = "NUMBER")]
    pub(crate) retry: Option<u32>,
    /// Does not wait for a pending job, and prints its handle as JSON
    ///
    /// If the first answer is final, it is written as usual, and the exit code
    /// of a success is 20.
    #[arg(long, conflicts_with = "continues")]
    pub(crate) no_wait: bool,
    /// Writes the job's handle to this file instead of standard output, as
    /// soon as the job is accepted
    #[arg(long, value_name = "FILE")]
    pub(crate) job_file: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) follow: Follow,
    #[command(flatten)]
    pub(crate) connection: Connection,
    /// Prints a man page or a completion script, and exits
    #[arg(long, value_name = "WHAT", exclusive = true)]
    pub(crate) generate: Option<Generate>,
}

impl Send {
    /// Returns whether an option gives data, for the body or, with -G, for the
    /// query.
    pub(crate) fn has_body(&self) -> bool {
        !(self.data.is_empty()
            && self.json.is_empty()
            && self.form.is_empty()
            && self.form_string.is_empty())
    }

    /// Counts the options that read standard input.
    fn inputs(&self) -> usize {
        let fields = self.form.iter().map(Field::content);
        let parameters = self.url_query.iter().filter_map(Parameter::content);
        self.data
            .iter()
            .chain(&self.json)
            .chain(fields)
            .chain(parameters)
            .filter(|part| **part == Part::StandardInput)
            .count()
    }
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
    /// poll-check(1)
    ManCheck,
    /// poll-list(1)
    ManList,
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
