//! Connections by DNS, TCP, proxies and TLS, with a timeout.

use std::{io, time::Duration};

use http::Uri;
use http_polling::same_origin;
use hyper_rustls::{HttpsConnector, MaybeHttpsStream};
use hyper_util::client::legacy::connect::{HttpConnector, dns::GaiResolver};
use tokio::time::timeout;
use tower::{BoxError, ServiceExt, service_fn, util::BoxCloneSyncService};

use super::{
    proxy::{Http, Proxies, Resolver},
    stream::Stream,
    tls,
};
use crate::{
    arguments::Connection,
    exit::{ConnectTimedOut, Failure, Unresolved},
};

/// The connector of hyper's client.
pub(super) type Connector = BoxCloneSyncService<Uri, MaybeHttpsStream<Stream>, BoxError>;

/// Creates a connector that presents the client's certificate only to `origin`,
/// since the certificate is a credential.
///
/// # Errors
///
/// Fails if certificates cannot be read.
pub(super) fn connector(
    connection: &Connection,
    origin: &Uri,
    proxies: &Proxies,
) -> Result<Connector, Failure> {
    let limit = connection.connect_timeout;
    let mut config = tls::config(connection)?;
    let mut config_of_others = match connection.cert {
        None => config.clone(),
        Some(_) => tls::config(&Connection {
            cert: None,
            ..connection.clone()
        })?,
    };
    let plain = plain(limit);
    // Proxies are verified with the default options and without a client certificate.
    let to_proxy = match proxies.have_tls() {
        true => tls::config(&Connection::default())?,
        false => config.clone(),
    };
    let http = Http {
        to_proxy: HttpsConnector::from((plain.clone(), to_proxy)),
        plain,
    };
    for config in [&mut config, &mut config_of_others] {
        config.alpn_protocols = match connection.http2 {
            true => vec![b"h2".to_vec()],
            false => vec![b"h2".to_vec(), b"http/1.1".to_vec()],
        };
    }
    let proxies = proxies.clone();
    let to_server = service_fn(move |url| proxies.clone().connect(url, http.clone()));
    let https = HttpsConnector::from((to_server.clone(), config));
    let https_of_others = HttpsConnector::from((to_server, config_of_others));
    let origin = origin.clone();
    let timed = service_fn(move |url| {
        let connecting = match same_origin(&origin, &url) {
            true => https.clone().oneshot(url),
            false => https_of_others.clone().oneshot(url),
        };
        async move {
            timeout(limit, connecting)
                .await
                .unwrap_or_else(|_| Err(ConnectTimedOut(limit).into()))
        }
    });
    Ok(BoxCloneSyncService::new(timed))
}

fn plain(limit: Duration) -> HttpConnector<Resolver> {
    let resolver = GaiResolver::new().map_err(Unresolved as fn(io::Error) -> Unresolved);
    let mut tcp = HttpConnector::new_with_resolver(resolver);
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    // hyper divides this time among the addresses of a name.
    tcp.set_connect_timeout(Some(limit));
    tcp
}
