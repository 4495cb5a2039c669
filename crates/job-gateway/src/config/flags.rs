//! The settings of the command line, and the defaults of all.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use http::Uri;
use tower_async_job::PendingStatus;

use super::{Callbacks, Clients, Config, Listen, Progress, Replay, Route, Store, Upstream};

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
            listen: vec![Listen::Tcp(SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)))],
            tls: None,
            admin: None,
            base: "/work".to_owned(),
            public_base: None,
            store: Store::Memory,
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
            callback: false,
            follow: false,
            result_later: false,
        }
    }
}
