//! Exit codes.

use http::StatusCode;

/// An exit code. Cases that curl has too have curl's code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Code {
    Success = 0,
    /// Any other failure.
    Other = 1,
    Usage = 2,
    /// The server to be checked never deferred the request. curl has another
    /// meaning for this code, a malformed URL, which is wrong usage here.
    NeverDeferred = 3,
    ResolveProxy = 5,
    Resolve = 6,
    Connect = 7,
    BadAnswer = 8,
    Refused = 9,
    Partial = 18,
    /// A submission with `--no-wait` was answered without a job. curl has no
    /// such code.
    FinalAtOnce = 20,
    HttpError = 22,
    Write = 23,
    Read = 26,
    Deadline = 28,
    /// The rest of a file cannot be fetched.
    Range = 33,
    TlsHandshake = 35,
    TooManyPolls = 47,
    NoAnswer = 52,
    Receive = 56,
    ClientCertificate = 58,
    Certificate = 60,
    RootCertificates = 77,
    Interrupted = 130,
    Terminated = 143,
}

impl Code {
    /// Returns the exit code for a final status.
    pub(crate) fn of(status: StatusCode) -> Self {
        match status.is_client_error() || status.is_server_error() {
            true => Self::HttpError,
            false => Self::Success,
        }
    }
}

/// The table of exit codes in the help text, the man page and the README.
pub(crate) const EXIT_CODES: &str = "
    0  a final 2xx (or a 3xx, which is not followed unless it is part of polling);
       for `status`: pending or done; for `cancel`: cancelled
    1  anything else; for `check`: a requirement failed
    2  wrong usage
    3  for `check`: the server never deferred the request
    5  the proxy's name cannot be resolved
    6  the host's name cannot be resolved
    7  cannot connect
    8  a pending answer that cannot be read, such as one without a usable Location
    9  the next poll is refused: another origin (see --cross-origin), https to http
   18  the final body broke off
   20  with --no-wait: the answer was final at once, and there is no job
   22  a final 4xx or 5xx, or a job that failed, timed out, was cancelled, was lost,
       expired or is unknown
   23  the output cannot be written
   26  the body to send cannot be read
   28  the deadline passed, or no connection came about in time
   33  with --continue: the server answered with another part than was asked for
   35  the TLS handshake failed
   47  the maximum of polls is reached
   52  the server closed the connection without an answer
   56  the connection failed while an answer was awaited
   58  the client certificate or its key cannot be used
   60  the server's certificate cannot be trusted
   77  the root certificates of --cacert cannot be read
  130  interrupted
  143  terminated";
