//! Failures of the command.

use std::{
    error::Error as _,
    fmt, io,
    time::{Duration, SystemTime},
};

use tower::BoxError;
use tower_poll::PendingJob;

use super::{
    code::Code,
    transport::{judge, links},
};
use crate::words;

/// A failure of the command.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) code: Code,
    text: String,
    source: Option<BoxError>,
    is_of_transport: bool,
    /// Further lines about the failure.
    pub(crate) notes: Vec<String>,
}

impl Failure {
    pub(crate) fn new(code: Code, text: impl Into<String>) -> Self {
        Self {
            code,
            text: text.into(),
            source: None,
            is_of_transport: false,
            notes: Vec::new(),
        }
    }

    pub(crate) fn with(mut self, source: impl Into<BoxError>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Converts an error of the call.
    pub(crate) fn of_call(error: tower_poll::Error) -> Self {
        let code = if error.is_deadline() {
            Code::Deadline
        } else if error.is_too_many_polls() {
            Code::TooManyPolls
        } else if error.is_cross_origin() || error.is_refused() {
            Code::Refused
        } else if error.is_bad_location() || error.is_bad_answer() || error.is_unrelated() {
            Code::BadAnswer
        } else if error.job_state().is_some() || error.is_unauthorized() {
            Code::HttpError
        } else if let Some((code, text)) = judge(&error) {
            let before = match error.pending_job() {
                Some(_) => "a poll failed: ",
                None => "",
            };
            return Self {
                is_of_transport: true,
                ..Self::new(code, format!("{before}{text}"))
            };
        } else {
            Code::Other
        };
        if code == Code::Deadline
            && let Some(delay) = error.pending_job().and_then(due_in)
        {
            let delay = words::delay(delay);
            let text = format!("the next poll, due in {delay}, is after the deadline");
            return Self::new(code, text);
        }
        let text = without_notes(&error);
        let causes = error.source().into_iter().flat_map(links);
        let texts = causes.map(|cause| cause.to_string());
        Self::new(code, joined(text, texts))
    }

    /// Converts an error of the client, without a call around it.
    pub(crate) fn of_transport(error: BoxError) -> Self {
        match judge(&*error) {
            Some((code, text)) => Self {
                is_of_transport: true,
                ..Self::new(code, text)
            },
            None => Self::new(Code::Other, "the request failed").with(error),
        }
    }

    /// Creates the failure of a final body that broke off.
    pub(crate) fn of_body(error: BoxError) -> Self {
        Self::new(Code::Partial, "the final body broke off").with(error)
    }

    /// Creates the failure of output that could not be written.
    pub(crate) fn of_output(error: io::Error, to: impl fmt::Display) -> Self {
        Self::new(Code::Write, format!("cannot write to {to}")).with(error)
    }

    /// Returns whether the failure is about the last exchange and does not
    /// describe it.
    pub(crate) fn is_of_exchange(&self) -> bool {
        !self.is_of_transport
            && matches!(
                self.code,
                Code::Other
                    | Code::BadAnswer
                    | Code::Refused
                    | Code::Partial
                    | Code::HttpError
                    | Code::Deadline
                    | Code::Range
                    | Code::TooManyPolls
            )
    }

    /// Returns whether the reader of the output is gone, so that no message is
    /// needed.
    pub(crate) fn is_broken_pipe(&self) -> bool {
        self.code == Code::Write
            && self.source.as_deref().is_some_and(|source| {
                source
                    .downcast_ref::<io::Error>()
                    .is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
            })
    }
}

/// Returns the reason of an error, without its status and hint, which are
/// reported separately.
fn without_notes(error: &tower_poll::Error) -> String {
    let text = error.to_string();
    let status = error.status().map(|status| status.to_string());
    let hint = error.hint().map(|hint| format!("hint: {hint}"));
    let notes: Vec<_> = status.into_iter().chain(hint).collect();
    let notes = format!(" ({})", notes.join("; "));
    text.strip_suffix(&notes).unwrap_or(&text).to_owned()
}

/// Returns the time until the next poll, unless that is due.
fn due_in(job: &PendingJob) -> Option<Duration> {
    job.due()?.duration_since(SystemTime::now()).ok()
}

/// Writes the chain of sources in one line.
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let source = self.source.iter().flat_map(|source| links(&**source));
        f.write_str(&joined(self.text.clone(), source.map(ToString::to_string)))
    }
}

/// Joins the texts of a chain of errors in one line.
fn joined(first: String, more: impl Iterator<Item = String>) -> String {
    let mut all = first.clone();
    let mut last = first;
    for text in more {
        // Some errors repeat the text of their sources.
        if last.ends_with(&text) {
            continue;
        }
        if !last.is_empty() {
            all += ": ";
        }
        all += &text;
        last = text;
    }
    all
}
