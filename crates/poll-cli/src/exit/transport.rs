//! Errors of the client: names, connections, TLS and HTTP.

use std::{error::Error, fmt, io, time::Duration};

use tower::BoxError;

use super::{code::Code, tls};
use crate::words;

/// The error of a request that a server did not answer.
#[derive(Debug)]
pub(crate) struct Unanswered {
    /// Host and port.
    pub(crate) peer: String,
    pub(crate) source: BoxError,
}

impl fmt::Display for Unanswered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the exchange with {} failed", self.peer)
    }
}

impl Error for Unanswered {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&*self.source)
    }
}

/// The error of a host name without an address.
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

/// The error of a request body that could not be read.
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

/// The error of a connection that was not established within this time.
#[derive(Debug)]
pub(crate) struct ConnectTimedOut(pub(crate) Duration);

impl fmt::Display for ConnectTimedOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no connection within {}", words::delay(self.0))
    }
}

impl Error for ConnectTimedOut {}

/// The error of a connection through a proxy.
#[derive(Debug)]
pub(crate) struct ThroughProxy {
    /// The proxy's host and port.
    pub(crate) proxy: String,
    pub(crate) source: BoxError,
}

impl fmt::Display for ThroughProxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot connect through the proxy {}", self.proxy)
    }
}

impl Error for ThroughProxy {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&*self.source)
    }
}

/// Returns the exit code and the message for an error of the client, or `None`
/// for other errors.
pub(super) fn judge(error: &(dyn Error + 'static)) -> Option<(Code, String)> {
    let peer = &find::<Unanswered>(error)?.peer;
    let root = links(error).last().unwrap_or(error);
    let proxy = find::<ThroughProxy>(error).map(|through| &through.proxy);
    let (code, text) = if find::<Unresolved>(error).is_some() {
        match proxy {
            Some(proxy) => (
                Code::ResolveProxy,
                format!("cannot resolve the name of the proxy {proxy}: {root}"),
            ),
            None => (
                Code::Resolve,
                format!("cannot resolve the name of {peer}: {root}"),
            ),
        }
    } else if let Some(unread) = find::<Unread>(error) {
        (Code::Read, format!("{unread}: {root}"))
    } else if let Some(timed_out) = find::<ConnectTimedOut>(error) {
        (
            Code::Deadline,
            format!("cannot connect to {peer}: {timed_out}"),
        )
    } else if let Some(error) = find::<rustls::Error>(error) {
        let peer = proxy.map_or(peer.clone(), |proxy| format!("the proxy {proxy}"));
        tls::judge(error, &peer)
    } else if !find::<hyper_util::client::legacy::Error>(error)?.is_connect() {
        match find::<hyper::Error>(error) {
            Some(error) if error.is_incomplete_message() => (
                Code::NoAnswer,
                format!("{peer} closed the connection without an answer"),
            ),
            _ => (
                Code::Receive,
                format!("the connection to {peer} failed: {root}"),
            ),
        }
    } else if let Some(proxy) = proxy {
        (
            Code::Connect,
            format!("cannot connect to {peer} through the proxy {proxy}: {root}"),
        )
    } else if find::<io::Error>(error).is_some_and(is_eof) {
        (
            Code::TlsHandshake,
            format!("{peer} closed the connection during the TLS handshake"),
        )
    } else {
        (Code::Connect, format!("cannot connect to {peer}: {root}"))
    };
    Some((code, text))
}

/// Returns whether the peer closed the connection. While connecting, only the
/// TLS handshake reads, so that the handshake was interrupted.
fn is_eof(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::UnexpectedEof
}

fn find<'a, E: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a E> {
    links(error).find_map(|link| link.downcast_ref())
}

/// Iterates over an error and its sources.
///
/// The source of an `io::Error` is the source of its inner error, so that the
/// inner error is visited separately.
pub(super) fn links<'a>(
    error: &'a (dyn Error + 'static),
) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| {
        match error.downcast_ref::<io::Error>().map(io::Error::get_ref) {
            Some(Some(inner)) => Some(inner as &(dyn Error + 'static)),
            _ => error.source(),
        }
    })
}
