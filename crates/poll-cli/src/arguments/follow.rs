//! The options for waiting and for the answer.

use std::{path::PathBuf, time::Duration};

use clap::{Args, ValueEnum};

use crate::{
    output::Output,
    words::{duration, limit},
    write_out::Format,
};

/// The options for waiting and for the answer.
#[derive(Clone, Debug, Args)]
pub(crate) struct Follow {
    /// The longest time for the whole call, such as 90s or 1h30m
    ///
    /// If it is given, it also limits the submission and the final body.
    /// Without it, polling ends after an hour; 0 is no limit.
    #[arg(
        short = 'm',
        long,
        visible_alias = "max-time",
        value_name = "DURATION",
        value_parser = limit
    )]
    pub(crate) deadline: Option<Duration>,
    /// The maximum number of polls
    #[arg(long, value_name = "NUMBER", default_value_t = 1000)]
    pub(crate) max_polls: u32,
    /// The maximum number of times that a failed poll is repeated in a row
    #[arg(long, value_name = "NUMBER", default_value_t = 5)]
    pub(crate) poll_retries: u32,
    /// The minimum delay between polls, even if the server asks for less
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "100ms")]
    pub(crate) min_delay: Duration,
    /// The maximum delay between polls, even if the server asks for more;
    /// without it 60 s, or 15 min if the server spreads the polls itself
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(crate) max_delay: Option<Duration>,
    /// The time after the submission in which a 404 is repeated, since the job
    /// may not be known to all servers yet; 0 is none
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "3s")]
    pub(crate) not_found_grace: Duration,
    /// The time for which the server is asked to hold each answer (Prefer:
    /// wait), in whole seconds
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(crate) wait: Option<Duration>,
    /// The resource with the result of an Azure operation
    ///
    /// For operations whose description names one (`final-state-via`).
    /// Otherwise it is found automatically. It is not part of the job's handle.
    #[arg(long, value_name = "WHERE")]
    pub(crate) final_state: Option<FinalState>,
    /// Cancels the job at the server after a second Ctrl-C within 5 s
    ///
    /// The first Ctrl-C always prints the job's handle.
    #[arg(long)]
    pub(crate) cancel_on_interrupt: bool,
    /// Writes the body to a file, which is replaced only by a complete body; -
    /// is standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Goes on with a download of -o that broke off, now or in an earlier call
    ///
    /// The bytes so far are in FILE.part, and FILE.part.json names the job, so
    /// that the same command goes on later without sending the request again.
    /// The file is never mixed from two results: if the result has changed, the
    /// download starts over.
    #[arg(long = "continue", requires = "output", conflicts_with = "include")]
    pub(crate) continues: bool,
    /// Writes the head of the final response before its body
    #[arg(short, long, visible_alias = "show-headers")]
    pub(crate) include: bool,
    /// Writes the head of the final response to a file; - is standard output
    #[arg(short = 'D', long, value_name = "FILE")]
    dump_header: Option<PathBuf>,
    /// Writes this text at the end, with variables such as %{http_code}; @FILE
    /// reads it from a file
    ///
    /// Variables are content_type, errormsg, exitcode, header{NAME},
    /// http_code, http_version, method, num_polls, redirect_url,
    /// response_code, scheme, size_download, time_total, url and
    /// url_effective. %{stderr} and %{stdout} choose the output of the text
    /// that follows, and %{onerror} omits that text unless the call failed.
    /// \n, \r and \t are as in C, and %% is a percent sign.
    #[arg(short, long, value_name = "FORMAT")]
    pub(crate) write_out: Option<Format>,
    /// Does not write the body of a final 4xx or 5xx
    #[arg(short, long)]
    pub(crate) fail: bool,
}

impl Follow {
    /// Returns the output that `-o`, `-i` and `-D` describe.
    pub(crate) fn output(&self) -> Output {
        Output {
            with_head: self.include,
            head_file: self.dump_header.clone(),
            ..Output::to(self.output.clone().unwrap_or_else(|| "-".into()))
        }
    }
}

/// The values of `--final-state`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum FinalState {
    /// The resource at Location
    Location,
    /// The URL of the submission
    OriginalUri,
    /// The document at Operation-Location
    OperationLocation,
    /// The document at Azure-AsyncOperation
    AzureAsyncOperation,
}
