//! How the command ends: codes, and what is said about a failure.

use std::{error::Error, fmt, io};

use tower::BoxError;

/// Exit codes, curl's where it has one for the case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Code {
    Success = 0,
    /// Anything that has no code of its own.
    Other = 1,
    Usage = 2,
    Resolve = 6,
    Connect = 7,
    BadAnswer = 8,
    Refused = 9,
    Partial = 18,
    HttpError = 22,
    Write = 23,
    Read = 26,
    Deadline = 28,
    TlsHandshake = 35,
    TooManyPolls = 47,
    NoAnswer = 52,
    Receive = 56,
    Certificate = 60,
    Interrupted = 130,
    Terminated = 143,
}

/// The table of exit codes in help, man page and README.
pub(crate) const EXIT_CODES: &str = "
    0  a final 2xx (or a 3xx, which is not followed unless it is part of polling);
       for `status`: pending or done; for `cancel`: cancelled
    1  anything else
    2  wrong usage
    6  the host's name cannot be resolved
    7  cannot connect
    8  a pending answer that cannot be read, such as one without a usable Location
    9  the next poll is refused: another origin (see --cross-origin), https to http
   18  the final body broke off
   22  a final 4xx or 5xx, or a job that failed, was cancelled, expired or is unknown
   23  the output cannot be written
   26  the body to send cannot be read
   28  the deadline passed
   35  the TLS handshake failed
   47  the maximum of polls is reached
   52  the server closed the connection without an answer
   56  the connection failed while an answer was awaited
   60  the server's certificate cannot be trusted
  130  interrupted
  143  terminated";

/// Why the command ends without success.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) code: Code,
    text: String,
    source: Option<BoxError>,
}

impl Failure {
    pub(crate) fn new(code: Code, text: impl Into<String>) -> Self {
        Self {
            code,
            text: text.into(),
            source: None,
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
        } else {
            code_of_transport(&error)
        };
        Self {
            code,
            text: String::new(),
            source: Some(error.into()),
        }
    }

    /// The final body broke off.
    pub(crate) fn of_body(error: BoxError) -> Self {
        Self::new(Code::Partial, "the final body broke off").with(error)
    }

    /// The output could not be written.
    pub(crate) fn of_output(error: io::Error, to: impl fmt::Display) -> Self {
        Self::new(Code::Write, format!("cannot write to {to}")).with(error)
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

/// The host's name has no address.
#[derive(Debug)]
pub(crate) struct Unresolved(pub(crate) io::Error);

impl fmt::Display for Unresolved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("cannot resolve the host's name")
    }
}

impl Error for Unresolved {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.0)
    }
}

/// The body to send could not be read.
#[derive(Debug)]
pub(crate) struct Unread(pub(crate) io::Error);

impl fmt::Display for Unread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("cannot read the body to send")
    }
}

impl Error for Unread {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.0)
    }
}

fn code_of_transport(error: &(dyn Error + 'static)) -> Code {
    let mut code = Code::Other;
    for link in links(error) {
        if link.is::<Unresolved>() {
            return Code::Resolve;
        }
        if link.is::<Unread>() {
            return Code::Read;
        }
        if let Some(error) = link.downcast_ref::<rustls::Error>() {
            return match error {
                rustls::Error::InvalidCertificate(_) => Code::Certificate,
                _ => Code::TlsHandshake,
            };
        }
        if let Some(error) = link.downcast_ref::<hyper_util::client::legacy::Error>() {
            code = if error.is_connect() {
                Code::Connect
            } else {
                Code::Receive
            };
        }
        if let Some(error) = link.downcast_ref::<hyper::Error>()
            && error.is_incomplete_message()
            && code == Code::Receive
        {
            code = Code::NoAnswer;
        }
    }
    code
}

/// An error and its sources. An `io::Error` hides one: its own source is that
/// of the error within.
fn links<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| {
        match error.downcast_ref::<io::Error>().map(io::Error::get_ref) {
            Some(Some(inner)) => Some(inner as &(dyn Error + 'static)),
            _ => error.source(),
        }
    })
}

#[cfg(test)]
mod tests;
