//! The HTTP client: HTTP/1.1 and HTTP/2, with TLS by rustls.

mod connector;
mod proxy;
mod resending;
mod stream;
mod tls;

use bytes::Bytes;
use http::{
    HeaderName, Request, Response, Uri,
    header::{Entry, PROXY_AUTHORIZATION},
};
use http_body::Body;
use hyper::body::Incoming;
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use tower::{BoxError, ServiceBuilder, retry::RetryLayer, service_fn, util::BoxCloneSyncService};

pub(crate) use self::resending::may_be_repeated;
use self::{
    connector::{Connector, connector},
    proxy::Proxies,
    resending::Resending,
};
use crate::{
    arguments::Connection,
    exchange::{LastExchange, Submission, peer_of},
    exit::{Failure, Unanswered},
    progress::Screen,
    request::Whole,
    trace::{request_head, response_head},
};

/// The maximum number of header fields of an HTTP/1 response. hyper's default
/// is 100.
const MAX_FIELDS: usize = 1000;

/// The maximum size of the header list of an HTTP/2 response: 64 KiB. hyper's
/// default is 16 KiB.
const MAX_FIELD_LIST: u32 = 64 * 1024;

/// A client of requests with bodies of type `B`.
pub(crate) type Transport<B> = BoxCloneSyncService<Request<B>, Response<Incoming>, BoxError>;

/// Creates a client for a submission to `origin`, which connects with the
/// options of `connection`.
///
/// The client records the last exchange in `last`, and shows every exchange on
/// `shown`.
///
/// # Errors
///
/// Fails if certificates or a proxy of the command line or the environment
/// cannot be used.
pub(crate) fn client<B>(
    connection: &Connection,
    origin: &Uri,
    shown: Option<Screen>,
    last: LastExchange,
) -> Result<Transport<B>, Failure>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<BoxError>,
{
    let proxies = Proxies::new(connection.proxy.as_ref())?;
    let client: Client<Connector, B> = Client::builder(TokioExecutor::new())
        .http2_only(connection.http2)
        .http1_max_headers(MAX_FIELDS)
        .http1_allow_obsolete_multiline_headers_in_responses(true)
        .http1_allow_spaces_after_header_name_in_responses(true)
        .http2_max_header_list_size(MAX_FIELD_LIST)
        .build(connector(connection, origin, &proxies)?);
    let dropped = connection.drop_header.clone();
    let client = service_fn(move |mut request: Request<B>| {
        prepare(&mut request, &dropped, &proxies);
        if let Some(screen) = &shown {
            screen.lines(&request_head(&request));
        }
        last.begin(&request);
        let peer = peer_of(request.uri());
        let answer = client.request(request);
        let (shown, last) = (shown.clone(), last.clone());
        async move {
            let response = answer.await.map_err(|error| Unanswered {
                peer,
                source: error.into(),
            })?;
            if let Some(screen) = &shown {
                screen.lines(&response_head(&response));
            }
            last.end(&response);
            Ok(response)
        }
    });
    Ok(BoxCloneSyncService::new(client))
}

/// Creates a client that repeats unanswered submissions up to `retries` times,
/// if they may be repeated.
pub(crate) fn resending(client: Transport<Whole>, retries: u32) -> Transport<Whole> {
    let client = ServiceBuilder::new()
        .layer(RetryLayer::new(Resending::new(retries)))
        .service(client);
    BoxCloneSyncService::new(client)
}

/// Removes the `dropped` headers from polls, and adds the credentials for a
/// proxy.
fn prepare<B>(request: &mut Request<B>, dropped: &[HeaderName], proxies: &Proxies) {
    if request.extensions().get::<Submission>().is_none() {
        for name in dropped {
            request.headers_mut().remove(name);
        }
    }
    if let Some(value) = proxies.authorization(request.uri())
        && let Entry::Vacant(entry) = request.headers_mut().entry(PROXY_AUTHORIZATION)
    {
        entry.insert(value);
    }
}
