//! `-x` and the proxy variables of the environment.

use std::{env, io, sync::Arc};

use http::{HeaderValue, Uri, uri::Scheme};
use hyper_rustls::{HttpsConnector, MaybeHttpsStream};
use hyper_util::{
    client::{
        legacy::connect::{
            HttpConnector,
            dns::GaiResolver,
            proxy::{SocksV4, SocksV5, Tunnel},
        },
        proxy::matcher::{Intercept, Matcher},
    },
    rt::TokioIo,
};
use tokio::net::TcpStream;
use tower::{BoxError, ServiceExt, util::MapErr};

use super::stream::Stream;
use crate::{
    arguments::Proxy,
    exchange::peer_of,
    exit::{Code, Failure, ThroughProxy, Unresolved},
};

pub(super) type Resolver = MapErr<GaiResolver, fn(io::Error) -> Unresolved>;

/// The connectors to servers and proxies.
#[derive(Clone, Debug)]
pub(super) struct Http {
    pub(super) plain: HttpConnector<Resolver>,
    /// The connector to proxies, with TLS for https.
    pub(super) to_proxy: HttpsConnector<HttpConnector<Resolver>>,
}

/// The rules that select the proxy for a server.
#[derive(Clone, Debug)]
pub(super) struct Proxies {
    matcher: Arc<Matcher>,
    have_tls: bool,
}

impl Proxies {
    /// Creates the rules for the proxy of `-x`, or for those of the environment.
    /// `NO_PROXY` applies in both cases.
    ///
    /// # Errors
    ///
    /// Fails if a variable of the environment is not a valid proxy.
    pub(super) fn new(given: Option<&Proxy>) -> Result<Self, Failure> {
        let [http, https, all] = match given {
            Some(Proxy(url)) => [url.clone(), url.clone(), String::new()],
            None => {
                // CGI sets HTTP_PROXY to a request's header field `Proxy`.
                let http = match env::var_os("REQUEST_METHOD") {
                    None => &["http_proxy", "HTTP_PROXY"][..],
                    Some(_) => &["http_proxy"],
                };
                [
                    url(http)?,
                    url(&["https_proxy", "HTTPS_PROXY"])?,
                    url(&["all_proxy", "ALL_PROXY"])?,
                ]
            }
        };
        // `*` matches every server, including addresses.
        let exceptions = variable(&["no_proxy", "NO_PROXY"]).1;
        let exceptions: Vec<_> = exceptions
            .split(|c: char| c == ',' || c.is_whitespace())
            .collect();
        let [http, https, all] = match exceptions.contains(&"*") {
            true => Default::default(),
            false => [http, https, all],
        };
        let have_tls = [&http, &https, &all]
            .iter()
            .any(|url| url.starts_with("https://"));
        let matcher = Matcher::builder()
            .http(http)
            .https(https)
            .all(all)
            .no(exceptions.join(","));
        Ok(Self {
            matcher: Arc::new(matcher.build()),
            have_tls,
        })
    }

    /// Returns whether one of the proxies is reached by https.
    pub(super) fn have_tls(&self) -> bool {
        self.have_tls
    }

    /// Returns the `Proxy-Authorization` of a request to `url`, if the proxy
    /// forwards the request instead of a tunnel.
    pub(super) fn authorization(&self, url: &Uri) -> Option<HeaderValue> {
        if url.scheme() != Some(&Scheme::HTTP) {
            return None;
        }
        self.matcher.intercept(url)?.basic_auth().cloned()
    }

    /// Connects to `url`, directly or through a proxy, without TLS to the
    /// server.
    pub(super) async fn connect(self, url: Uri, http: Http) -> Result<Stream, BoxError> {
        let Some(intercept) = self.matcher.intercept(&url) else {
            let stream = http.plain.oneshot(url).await?;
            return Ok(Stream::new(MaybeHttpsStream::Http(stream)));
        };
        let proxy = peer_of(intercept.uri());
        through(&intercept, url, http)
            .await
            .map_err(|source| ThroughProxy { proxy, source }.into())
    }
}

async fn through(intercept: &Intercept, url: Uri, http: Http) -> Result<Stream, BoxError> {
    // hyper-util uses 443 for a missing port.
    let url = Uri::builder()
        .scheme(url.scheme_str().unwrap_or_default())
        .authority(peer_of(&url))
        .path_and_query("/")
        .build()?;
    let proxy = intercept.uri().clone();
    let raw_auth = intercept.raw_auth();
    let stream: TokioIo<TcpStream> = match proxy.scheme_str() {
        Some(scheme @ ("socks5" | "socks5h")) => {
            let mut socks = SocksV5::new(proxy.clone(), http.plain).local_dns(scheme == "socks5");
            if let Some((user, password)) = raw_auth {
                socks = socks.with_auth(user.to_owned(), password.to_owned());
            }
            socks.oneshot(url).await?
        }
        Some(scheme @ ("socks4" | "socks4a")) => {
            let socks = SocksV4::new(proxy.clone(), http.plain).local_dns(scheme == "socks4");
            socks.oneshot(url).await?
        }
        _ if url.scheme() == Some(&Scheme::HTTP) => {
            return Ok(Stream::forwarding(http.to_proxy.oneshot(proxy).await?));
        }
        _ => {
            let mut tunnel = Tunnel::new(proxy, http.to_proxy);
            if let Some(auth) = intercept.basic_auth() {
                tunnel = tunnel.with_auth(auth.clone());
            }
            return Ok(Stream::new(tunnel.oneshot(url).await?));
        }
    };
    Ok(Stream::new(MaybeHttpsStream::Http(stream)))
}

/// Finds the first of these variables that is set and not empty, and returns
/// its name and value.
fn variable(names: &[&'static str]) -> (&'static str, String) {
    names
        .iter()
        .filter_map(|name| Some((*name, env::var(name).ok()?)))
        .find(|(_, value)| !value.is_empty())
        .unwrap_or_default()
}

/// Parses the first of these variables that is set as a proxy.
fn url(names: &[&'static str]) -> Result<String, Failure> {
    let (name, value) = variable(names);
    match value.parse() {
        Ok(Proxy(url)) => Ok(url),
        Err(error) => Err(Failure::new(Code::Usage, format!("{name}: {error}"))),
    }
}
