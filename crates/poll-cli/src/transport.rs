//! The client beneath: HTTP/1.1 and HTTP/2, TLS by rustls with the system's
//! roots.

use std::io;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{
        Client,
        connect::{HttpConnector, dns::GaiResolver},
    },
    rt::TokioExecutor,
};
use rustls::{ClientConfig, RootCertStore};
use tower::{
    BoxError, ServiceBuilder, ServiceExt,
    retry::RetryLayer,
    util::{BoxCloneSyncService, MapErr},
};
use tower_poll::Resubmit;

use crate::{
    exit::{Code, Failure, Unresolved},
    progress::Screen,
    request::Whole,
    trace::{request_head, response_head},
};

type Resolver = MapErr<GaiResolver, fn(io::Error) -> Unresolved>;

/// A client of requests with bodies of type `B`.
pub(crate) type Transport<B> = BoxCloneSyncService<Request<B>, Response<Incoming>, BoxError>;

/// With `http2_only`, HTTP/2 by prior knowledge for http and by negotiation
/// for https; otherwise HTTP/1.1 for http, and for https what is negotiated.
/// Every exchange is shown on the screen given as `shown`.
///
/// # Errors
///
/// Fails where TLS has no protocol version in common with its own provider.
pub(crate) fn client<B>(http2_only: bool, shown: Option<Screen>) -> Result<Transport<B>, Failure>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<BoxError>,
{
    let client = Client::builder(TokioExecutor::new())
        .http2_only(http2_only)
        .build(connector(http2_only)?);
    let screen = shown.clone();
    let show_request = move |request: Request<B>| {
        if let Some(screen) = &screen {
            screen.line(&request_head(&request));
        }
        request
    };
    let show_response = move |response: Response<Incoming>| {
        if let Some(screen) = &shown {
            screen.line(&response_head(&response));
        }
        response
    };
    let client = ServiceBuilder::new()
        .map_request(show_request)
        .map_response(show_response)
        .map_err(BoxError::from)
        .service(client);
    Ok(BoxCloneSyncService::new(client))
}

/// A client that sends requests with an `Idempotency-Key` again when they are
/// not answered.
pub(crate) fn resending(client: Transport<Whole>) -> Transport<Whole> {
    let client = ServiceBuilder::new()
        .layer(RetryLayer::new(Resubmit::new()))
        .service(client);
    BoxCloneSyncService::new(client)
}

fn connector(http2_only: bool) -> Result<HttpsConnector<HttpConnector<Resolver>>, Failure> {
    let resolver = GaiResolver::new().map_err(Unresolved as fn(io::Error) -> Unresolved);
    let mut tcp = HttpConnector::new_with_resolver(resolver);
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    let builder = HttpsConnectorBuilder::new()
        .with_tls_config(tls()?)
        .https_or_http();
    Ok(if http2_only {
        builder.enable_http2().wrap_connector(tcp)
    } else {
        builder.enable_all_versions().wrap_connector(tcp)
    })
}

/// `SSL_CERT_FILE` and `SSL_CERT_DIR` go before the system's own roots. A
/// system without any is no hindrance to http: https then trusts nobody.
fn tls() -> Result<ClientConfig, Failure> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let provider = rustls::crypto::ring::default_provider();
    let config = ClientConfig::builder_with_provider(provider.into())
        .with_safe_default_protocol_versions()
        .map_err(|error| Failure::new(Code::Other, "cannot set up TLS").with(error))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(config)
}
