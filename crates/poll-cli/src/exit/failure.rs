//! Why the command ends without success.

use std::{
    fmt, io,
    time::{Duration, SystemTime},
};

use tower::BoxError;
use tower_poll::PendingJob;

use super::{
    Code,
    transport::{judge, links},
};
use crate::words;

/// Why the command ends without success.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) code: Code,
    text: String,
    source: Option<BoxError>,
    is_of_transport: bool,
}

impl Failure {
    pub(crate) fn new(code: Code, text: impl Into<String>) -> Self {
        Self {
            code,
            text: text.into(),
            source: None,
            is_of_transport: false,
        }
    }

    pub(crate) fn with(mut self, source: impl Into<BoxError>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// What the call's error comes to.
    pub(crate) fn of_call(error: tower_poll::Error) -> Self {
        let code = if error.is_deadline() {
            Code::Deadline
        } else if error.is_too_many_polls() {
            Code::TooManyPolls
        } else if error.is_cross_origin() || error.is_refused() {
            Code::Refused
        } else if error.is_bad_location() || error.is_bad_answer() {
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
        Self::new(code, "").with(error)
    }

    /// The final body broke off.
    pub(crate) fn of_body(error: BoxError) -> Self {
        Self::new(Code::Partial, "the final body broke off").with(error)
    }

    /// The output could not be written.
    pub(crate) fn of_output(error: io::Error, to: impl fmt::Display) -> Self {
        Self::new(Code::Write, format!("cannot write to {to}")).with(error)
    }

    /// Whether the last exchange is worth telling: the failure came of it,
    /// and does not name it yet.
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
                    | Code::TooManyPolls
            )
    }

    /// Whether nobody reads the output any more, which is not worth a word.
    pub(crate) fn is_broken_pipe(&self) -> bool {
        self.code == Code::Write
            && self.source.as_deref().is_some_and(|source| {
                source
                    .downcast_ref::<io::Error>()
                    .is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
            })
    }
}

/// The time to the next poll, unless that is due.
fn due_in(job: &PendingJob) -> Option<Duration> {
    job.due()?.duration_since(SystemTime::now()).ok()
}

/// The whole chain of sources in one line.
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)?;
        let mut last = self.text.clone();
        for link in self.source.iter().flat_map(|source| links(&**source)) {
            let text = link.to_string();
            // Some errors repeat what their sources say.
            if last.ends_with(&text) {
                continue;
            }
            if !last.is_empty() {
                f.write_str(": ")?;
            }
            f.write_str(&text)?;
            last = text;
        }
        Ok(())
    }
}
