//! The settings of a gateway, checked and complete: defaults are filled in, and names resolved to what
//! they name.

pub(crate) mod file;
pub(crate) mod flags;
pub(crate) mod print;
pub(crate) mod schema;
pub(crate) mod swap;
pub(crate) mod values;

mod error;
mod files;
mod pattern;
mod principals;
mod progress;
mod read;
mod routes;
mod secret;
mod section;
mod source;
mod upstreams;
mod words;

#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use http::{Method, Uri};
use ipnet::IpNet;
use tower_async_job::PendingStatus;

pub(crate) use self::{
    error::{Report, Unusable},
    flags::Overrides,
    pattern::Routes,
    secret::Secret,
    source::Source,
};

/// All settings.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Config {
    /// The name of the gateway in `Via` and `Proxy-Status`.
    pub(crate) name: String,
    /// The addresses of clients, at least one.
    pub(crate) listen: Vec<Listen>,
    /// The certificate for clients; `None` for plain HTTP.
    pub(crate) tls: Option<Tls>,
    /// The address of operators.
    pub(crate) admin: Option<Listen>,
    /// The path of jobs.
    pub(crate) base: String,
    /// The path or URL of jobs as clients see it, if it differs.
    pub(crate) public_base: Option<String>,
    /// Jobs have events.
    pub(crate) events: bool,
    /// Clients can list the jobs of their principal.
    pub(crate) own_jobs: bool,
    pub(crate) store: Store,
    /// The time after which others take over the jobs of a gateway that died. Default 30 s.
    pub(crate) lease: Duration,
    /// The greatest size of the store, in bytes; `None` for a database, which has its own limits.
    pub(crate) max_bytes: Option<usize>,
    /// The networks whose `Forwarded` and `X-Forwarded-*` are believed.
    pub(crate) trusted_proxies: Vec<IpNet>,
    pub(crate) clients: Clients,
    /// The time between SIGTERM and the end of listening.
    pub(crate) drain_delay: Duration,
    /// The time for running jobs after that.
    pub(crate) grace: Duration,
    /// The number of threads; `None` for one per core.
    pub(crate) threads: Option<usize>,
    /// The servers by their names.
    pub(crate) upstreams: BTreeMap<String, Arc<Upstream>>,
    /// The routes of the file, in its order.
    pub(crate) routes: Vec<Arc<Route>>,
    /// The route of a request that matches no other; `None` answers 404.
    pub(crate) fallback: Option<Arc<Route>>,
    pub(crate) progress: Progress,
    pub(crate) callbacks: Callbacks,
}

/// An address to listen on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Listen {
    Tcp(SocketAddr),
    Unix(PathBuf),
    /// The sockets that systemd passes on.
    Systemd,
}

/// A certificate chain and its key, in PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tls {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

/// The place where jobs are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Store {
    Memory,
    Sqlite(PathBuf),
    Postgres(Secret),
    Redis(Secret),
}

/// The limits of clients' connections.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Clients {
    /// The bytes of a request's head. Default 16 KiB.
    pub(crate) header_bytes: usize,
    /// The number of a request's fields. Default 100.
    pub(crate) headers: usize,
    /// The time for a head. Default 10 s.
    pub(crate) header_timeout: Duration,
    /// The time for which a body may stall. Default 30 s.
    pub(crate) body_timeout: Duration,
    /// The time for which a connection may be idle. Default 75 s.
    pub(crate) idle_timeout: Duration,
    /// The number of connections. Default 10,000.
    pub(crate) connections: usize,
}

/// A server behind the gateway.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Upstream {
    pub(crate) name: String,
    /// Scheme (`http`, `https` or `h2c`) and authority.
    pub(crate) url: Uri,
    /// Uses HTTP/2: always with `h2c`, by ALPN with `https` if this is set.
    pub(crate) http2: bool,
    /// The number of requests at once; `None` without a limit.
    pub(crate) concurrency: Option<usize>,
    /// The number of requests that wait for one of these places. Default 10,000.
    pub(crate) queue: usize,
    /// Sends the upstream's own name as Host instead of the client's.
    pub(crate) own_host: bool,
    /// The time for a connection. Default 5 s.
    pub(crate) connect_timeout: Duration,
    /// The time for the head of a response that is not deferrable. Default 60 s.
    pub(crate) response_timeout: Duration,
    /// The time for which a connection may be idle. Default 4 s.
    pub(crate) idle_timeout: Duration,
    /// The time after which a connection takes no further request. Default 60 s.
    pub(crate) max_age: Duration,
    /// The time for which a websocket may be silent both ways. Default 1 h.
    pub(crate) tunnel_timeout: Duration,
    /// Roots instead of the system's, in PEM.
    pub(crate) roots: Option<PathBuf>,
}

/// A set of requests with settings of their own.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Route {
    /// The name in metrics and lists. Default: the pattern.
    pub(crate) name: Arc<str>,
    /// The method, or `None` for all.
    pub(crate) method: Option<Method>,
    /// The path, with `{name}` and `{*rest}` as in axum.
    pub(crate) path: String,
    pub(crate) upstream: Arc<Upstream>,
    /// Lets requests become jobs.
    pub(crate) defer: bool,
    pub(crate) inline_wait: Duration,
    pub(crate) pending_status: PendingStatus,
    pub(crate) deadline: Duration,
    pub(crate) retention: Duration,
    /// The bytes of a request that are read before it is sent, if it can be replayed or is deferred.
    pub(crate) request_spool: usize,
    /// The bytes of a result.
    pub(crate) result_limit: usize,
    pub(crate) max_attempts: u32,
    pub(crate) replay: Replay,
    /// The treatment of credentials in requests that are replayed; `None` replays none that have some.
    pub(crate) credentials: Option<Credentials>,
    pub(crate) principal: Option<PrincipalSource>,
    /// Sends the principal upstream as `Job-Principal`.
    pub(crate) send_principal: bool,
    /// The origins whose pages may read answers.
    pub(crate) cors_origins: Vec<String>,
    /// Polls the jobs of a server that answers with its own.
    pub(crate) follow: bool,
    /// Lets clients ask for a callback.
    pub(crate) callback: bool,
    /// Lets the server answer with 202, and deliver its result later.
    pub(crate) result_later: bool,
    /// The time for which such a server may be silent; `None` until the deadline.
    pub(crate) result_timeout: Option<Duration>,
}

/// The requests that can be run again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Replay {
    /// Those of idempotent methods.
    Idempotent,
    /// Also those with an `Idempotency-Key`.
    Keyed,
    All,
    None,
}

/// The treatment of `Authorization` and `Cookie` in requests that are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Credentials {
    Keep,
    Drop,
}

/// The place of a request's principal.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum PrincipalSource {
    /// A field that a trusted proxy sets.
    Header(http::HeaderName),
    Jwt(Arc<Jwt>),
}

/// The demands on a JSON Web Token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Jwt {
    /// The file with the keys, a JWK Set.
    pub(crate) keys: PathBuf,
    pub(crate) issuer: String,
    pub(crate) audience: String,
    /// The algorithms that are accepted.
    pub(crate) algorithms: Vec<String>,
    /// The claim that names the principal. Default `sub`.
    pub(crate) claim: String,
}

/// The listener for the upstreams' reports of progress.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Progress {
    /// Default: a free port of 127.0.0.1.
    pub(crate) listen: SocketAddr,
    /// The listener as upstreams see it; `None` if only those of this machine do.
    pub(crate) url: Option<Uri>,
}

/// The hosts that are called back when jobs end.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Callbacks {
    pub(crate) hosts: BTreeMap<String, CallbackHost>,
    /// The special networks in which hosts may be.
    pub(crate) allow_networks: Vec<IpNet>,
}

/// A host that is called back.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct CallbackHost {
    /// The secrets that sign: the current one, and its successor or predecessor.
    pub(crate) secrets: Vec<Secret>,
    /// Default: 443.
    pub(crate) ports: Vec<u16>,
}
