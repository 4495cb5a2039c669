//! The URL of a server.

use std::{
    fmt::{self, Write as _},
    time::Duration,
};

use tokio_postgres::{
    Config,
    config::{Host, SslMode},
};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::tls::{Verification, connector};
use crate::error::ConnectError;

/// The parameters of a URL that are interpreted here.
const MODE: &str = "sslmode";
const ROOTS: &str = "sslrootcert";

/// A server, and the way to it.
#[derive(Clone)]
pub(crate) struct Address {
    pub(crate) config: Config,
    pub(crate) tls: MakeRustlsConnect,
}

impl Address {
    /// Parses a URL. Settings that it does not have get their defaults.
    pub(crate) fn parse(
        url: &str,
        application: &str,
        limit: Duration,
    ) -> Result<Self, ConnectError> {
        let (rest, mode, roots) = split(url);
        let mut config: Config = rest
            .parse()
            .map_err(|error| ConnectError::url(reason(&error)))?;
        let (encryption, verification) = match mode.as_deref() {
            // Without a query, the address may be in the form `host=… sslmode=…`.
            None => (config.get_ssl_mode(), Verification::None),
            Some("prefer") => (SslMode::Prefer, Verification::None),
            Some("disable") => (SslMode::Disable, Verification::None),
            // As in libpq, roots that are given are used.
            Some("require") if roots.is_some() => (SslMode::Require, Verification::Chain),
            Some("require") => (SslMode::Require, Verification::None),
            Some("verify-ca") => (SslMode::Require, Verification::Chain),
            Some("verify-full") => (SslMode::Require, Verification::Full),
            Some(other) => {
                let known = "disable, prefer, require, verify-ca or verify-full";
                return Err(ConnectError::url(format!(
                    "`sslmode` is {other:?}, not {known}"
                )));
            }
        };
        config.ssl_mode(encryption);
        if config.get_application_name().is_none() {
            config.application_name(application);
        }
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(limit);
        }
        // A server that vanishes is noticed although nothing is sent to it, or nothing arrives.
        if config.get_tcp_user_timeout().is_none() {
            config.tcp_user_timeout(limit.max(Duration::from_secs(1)) * 2);
        }
        if !url.contains("keepalives") {
            config.keepalives_idle(Duration::from_secs(10));
            config.keepalives_interval(Duration::from_secs(5));
            config.keepalives_retries(3);
        }
        Ok(Self {
            config,
            tls: connector(verification, roots.as_deref())?,
        })
    }
}

/// Shows the role, the servers and the database, such as `app@db.internal:5432/app`.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let config = &self.config;
        if let Some(role) = config.get_user() {
            write!(f, "{role}@")?;
        }
        for (index, host) in config.get_hosts().iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            match host {
                Host::Tcp(name) if name.contains(':') => write!(f, "{comma}[{name}]")?,
                Host::Tcp(name) => write!(f, "{comma}{name}")?,
                Host::Unix(path) => write!(f, "{comma}{}", path.display())?,
            }
            // One port is that of all hosts.
            let ports = config.get_ports();
            write!(
                f,
                ":{}",
                ports.get(index).or(ports.first()).unwrap_or(&5432)
            )?;
        }
        match config.get_dbname() {
            Some(name) => write!(f, "/{name}"),
            None => Ok(()),
        }
    }
}

/// Returns a URL without the parameters that are interpreted here, and those.
fn split(url: &str) -> (String, Option<String>, Option<String>) {
    let Some((base, query)) = url.split_once('?') else {
        return (url.to_owned(), None, None);
    };
    let (mut rest, mut mode, mut roots) = (base.to_owned(), None, None);
    let mut separator = '?';
    for pair in query.split('&') {
        match pair.split_once('=') {
            Some((MODE, value)) => mode = Some(value.to_owned()),
            Some((ROOTS, value)) => roots = Some(decoded(value)),
            _ => {
                let _ = write!(rest, "{separator}{pair}");
                separator = '&';
            }
        }
    }
    (rest, mode, roots)
}

/// Decodes the percent-encoding of a value.
fn decoded(value: &str) -> String {
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.as_bytes();
    while let [first, tail @ ..] = rest {
        let digits = tail.get(..2).and_then(|digits| str::from_utf8(digits).ok());
        let byte = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match byte.filter(|_| *first == b'%') {
            Some(byte) => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            None => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Returns the reason of a malformed URL, which does not show the URL with its password.
fn reason(error: &tokio_postgres::Error) -> String {
    let source = std::error::Error::source(error);
    source.map_or_else(|| error.to_string(), ToString::to_string)
}
