//! The settings of the command line, and the defaults of all.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use http::Uri;
use tower_async_job::PendingStatus;

use toml::de::DeValue;

use super::{
    Callbacks, Clients, Config, Listen, Progress, Replay, Route, Store, Upstream,
    read::{self, Fault},
};

const HOUR: Duration = Duration::from_secs(3600);

/// The settings of the command line, which take precedence over those of a file.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Overrides {
    /// The server of all requests that no route of the file matches.
    pub(crate) upstream: Option<Uri>,
    pub(crate) listen: Vec<Listen>,
    pub(crate) admin: Option<Listen>,
    pub(crate) store: Option<Store>,
    pub(crate) base: Option<String>,
    pub(crate) public_base: Option<String>,
    pub(crate) inline_wait: Option<Duration>,
    pub(crate) pending_status: Option<PendingStatus>,
    pub(crate) replay: Option<Replay>,
    pub(crate) concurrency: Option<usize>,
    pub(crate) drain_delay: Option<Duration>,
    pub(crate) grace: Option<Duration>,
    pub(crate) threads: Option<usize>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            name: "job-gateway".to_owned(),
            listen: vec![Listen::Tcp(SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)))],
            tls: None,
            admin: None,
            base: "/work".to_owned(),
            public_base: None,
            events: false,
            own_jobs: false,
            store: Store::Memory,
            lease: Duration::from_secs(30),
            max_bytes: Store::Memory.usual_limit(),
            trusted_proxies: Vec::new(),
            clients: Clients::default(),
            drain_delay: Duration::ZERO,
            grace: Duration::from_secs(25),
            threads: None,
            upstreams: [].into(),
            routes: Vec::new(),
            fallback: None,
            progress: Progress::default(),
            callbacks: Callbacks::default(),
        }
    }
}

impl Default for Progress {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            url: None,
        }
    }
}

impl Default for Clients {
    fn default() -> Self {
        Self {
            header_bytes: 16 << 10,
            headers: 100,
            header_timeout: Duration::from_secs(10),
            body_timeout: Duration::from_secs(30),
            idle_timeout: Duration::from_secs(75),
            connections: 10_000,
        }
    }
}

impl Upstream {
    /// Creates the settings of a server at this URL, with the defaults.
    pub(crate) fn new(name: &str, url: Uri) -> Self {
        Self {
            name: name.to_owned(),
            http2: url.scheme_str() == Some("h2c"),
            url,
            concurrency: None,
            queue: 10_000,
            own_host: false,
            connect_timeout: Duration::from_secs(5),
            response_timeout: Duration::from_secs(60),
            idle_timeout: Duration::from_secs(4),
            max_age: Duration::from_secs(60),
            tunnel_timeout: Duration::from_secs(3600),
            roots: None,
        }
    }
}

impl Route {
    /// Creates the settings of the requests to a path, with the defaults.
    pub(crate) fn new(name: &str, path: &str, upstream: Arc<Upstream>) -> Self {
        Self {
            name: name.into(),
            method: None,
            path: path.to_owned(),
            upstream,
            defer: true,
            inline_wait: Duration::from_secs(1),
            pending_status: PendingStatus::SeeOther,
            deadline: HOUR,
            retention: HOUR,
            request_spool: 2 << 20,
            result_limit: 16 << 20,
            max_attempts: 3,
            replay: Replay::Idempotent,
            credentials: None,
            principal: None,
            send_principal: true,
            cors_origins: Vec::new(),
            follow: false,
            callback: false,
            result_later: false,
            result_timeout: None,
        }
    }
}

/// Reads `--inline-wait`.
pub(crate) fn inline_wait(text: &str) -> Result<Duration, String> {
    read_text(text, read::inline_wait)
}

/// Reads `--drain-delay` and `--grace`.
pub(crate) fn ending(text: &str) -> Result<Duration, String> {
    read_text(text, read::ending)
}

/// Reads `--threads`.
pub(crate) fn threads(text: &str) -> Result<usize, String> {
    read_number(text, read::threads)
}

/// Reads `--concurrency`.
pub(crate) fn concurrency(text: &str) -> Result<usize, String> {
    read_number(text, read::concurrency)
}

/// Reads a flag as a file's value, with the same limits.
fn read_text<T>(text: &str, read: impl Fn(&DeValue<'_>) -> Result<T, Fault>) -> Result<T, String> {
    read(&DeValue::String(text.into())).map_err(|fault| match fault.help {
        Some(help) => format!("{}: {help}", fault.label),
        None => fault.label,
    })
}

fn read_number<T>(
    text: &str,
    read: impl Fn(&DeValue<'_>) -> Result<T, Fault>,
) -> Result<T, String> {
    let value = DeValue::parse(text).map_err(|_| "expected a whole number")?;
    read(value.get_ref()).map_err(|fault| fault.label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_have_the_limits_of_files() {
        assert_eq!(inline_wait("1s"), Ok(Duration::from_secs(1)));
        assert_eq!(inline_wait("2h").unwrap_err(), "must be from 0s to 1h");
        let form = "write a number and a unit, such as \"500ms\", \"10s\" or \"1h 30m\"";
        assert_eq!(
            ending("5").unwrap_err(),
            format!("this is no duration: {form}")
        );
        assert_eq!(threads("2"), Ok(2));
        assert_eq!(threads("0").unwrap_err(), "must be from 1 to 1024");
        assert_eq!(concurrency("many").unwrap_err(), "expected a whole number");
        assert_eq!(
            concurrency("1.5").unwrap_err(),
            "expected a whole number, found a float"
        );
    }
}
