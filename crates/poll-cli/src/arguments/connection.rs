//! The options for requests and connections.

use std::{path::PathBuf, sync::Arc, time::Duration};

use clap::Args;
use http::HeaderName;
use tower_poll::dialect::{BareAccepted, Dialect};

use super::{proxy::Proxy, values::dialect};
use crate::{
    request::{HeaderLine, Origin, is_credential},
    words::limit,
};

/// The options for requests and connections.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct Connection {
    /// A header to send, `Name: value`; `Name;` sends it empty, and `Name:`
    /// removes it
    ///
    /// It can be given several times. Polls at the origin of the submission
    /// carry it too, unless it describes or signs a single message:
    /// Content-*, If-*, Range, Prefer, Idempotency-Key, Expect, Digest, DPoP,
    /// Signature*, X-Amz-*, X-HTTP-Method-Override, and those of the
    /// connection. Polls at other origins carry only Accept, Accept-Encoding,
    /// Accept-Language, User-Agent, TE and trace context.
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE")]
    pub(crate) headers: Vec<HeaderLine>,
    /// A header of -H that all polls carry, including those at other origins
    ///
    /// Credentials are sent to the origin of the submission only, even if
    /// they are named here.
    #[arg(long, value_name = "NAME")]
    pub(crate) keep_header: Vec<HeaderName>,
    /// A header that polls do not carry
    #[arg(long, value_name = "NAME")]
    pub(crate) drop_header: Vec<HeaderName>,
    /// User and password, sent as Authorization: Basic; equivalent to
    /// http://user:password@host
    #[arg(short, long, value_name = "USER:PASSWORD")]
    pub(crate) user: Option<String>,
    /// Allows polls at another origin; without a value, at every origin with a
    /// public host
    ///
    /// It can be given several times. Credentials are sent to the origin of
    /// the submission only. A change from https to http is always refused.
    /// Private and local addresses must be named.
    #[arg(
        long,
        value_name = "ORIGIN",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "*"
    )]
    pub(crate) cross_origin: Vec<Origin>,
    /// Reads answers as those of this kind of API, even without the headers by
    /// which it is otherwise recognised
    ///
    /// One of azure (provisioningState, without headers), ogc-processes, odata,
    /// fhir, status-resource, or status-document=FIELD for JSON documents with
    /// the state in a member of this name, such as `status` or
    /// `properties.state`.
    #[arg(long, value_name = "NAME", value_parser = dialect)]
    pub(crate) dialect: Option<Arc<dyn Dialect>>,
    /// Repeats a GET that is answered with 202 and no other information
    #[arg(long = "poll-202")]
    pub(crate) poll_202: bool,
    /// Uses HTTP/2 only; for http:// without negotiation (prior knowledge)
    #[arg(long)]
    pub(crate) http2: bool,
    /// Uses this proxy, such as `http://user:password@host:3128`
    ///
    /// Schemes are http, https, socks4, socks4a, socks5 and socks5h. Without
    /// this option, the environment's http_proxy, https_proxy and all_proxy
    /// apply; an empty value turns them off. no_proxy names hosts without a
    /// proxy.
    #[arg(short = 'x', long, value_name = "PROXY")]
    pub(crate) proxy: Option<Proxy>,
    /// The longest time for connecting, TLS included; 0 is none
    #[arg(long, value_name = "DURATION", value_parser = limit, default_value = "30s")]
    pub(crate) connect_timeout: Duration,
    /// Does not check the server's certificate
    #[arg(short = 'k', long)]
    pub(crate) insecure: bool,
    /// Trusts only the root certificates of this file (PEM)
    #[arg(long, value_name = "FILE")]
    pub(crate) cacert: Option<PathBuf>,
    /// Presents this client certificate (PEM) to the origin of the submission
    /// only; its key is in the same file or in that of --key
    #[arg(short = 'E', long, value_name = "FILE")]
    pub(crate) cert: Option<PathBuf>,
    /// The private key of --cert (PEM, not encrypted)
    #[arg(long, value_name = "FILE", requires = "cert")]
    pub(crate) key: Option<PathBuf>,
    /// Shows the head of each request and response, without credentials
    #[arg(short, long)]
    pub(crate) verbose: bool,
    /// Does not show progress; errors are always shown
    #[arg(short, long)]
    pub(crate) silent: bool,
    #[command(flatten)]
    pub(crate) accepted: Accepted,
}

/// Options of curl that have no effect.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct Accepted {
    /// Has no effect, for users of curl: errors are always shown
    #[arg(short = 'S', long = "show-error")]
    _show_error: bool,
    /// Has no effect, for users of curl: pending answers are always followed,
    /// and other redirects never
    #[arg(short = 'L', long = "location")]
    _location: bool,
}

impl Connection {
    /// Returns the dialects that the command line names.
    pub(crate) fn dialects(&self) -> impl Iterator<Item = Arc<dyn Dialect>> + '_ {
        let bare = self
            .poll_202
            .then(|| Arc::new(BareAccepted::new()) as Arc<dyn Dialect>);
        self.dialect.iter().cloned().chain(bare)
    }

    /// Returns whether the options contain credentials.
    pub(crate) fn has_credentials(&self) -> bool {
        let is_secret =
            |line: &HeaderLine| matches!(line, HeaderLine::Set(name, _) if is_credential(name));
        self.user.is_some() || self.cert.is_some() || self.headers.iter().any(is_secret)
    }
}
