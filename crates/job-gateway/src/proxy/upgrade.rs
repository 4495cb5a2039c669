//! Websockets over HTTP/1.1 (RFC 6455), the only upgrade that is sent on.

use std::time::Duration;

use http::{
    HeaderValue, Method, Request, Response, Version,
    header::{CONNECTION, UPGRADE},
};
use http_body_util::{Either, Full};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;

use super::{
    headers::{remove_hop_by_hop, tokens},
    queue::Place,
    respond::{Body, Failure},
    tunnel::tunnel,
};
use crate::upstream;

/// A client's request for a websocket.
pub(super) struct Requested {
    client: OnUpgrade,
}

impl Requested {
    /// Takes the connection of a request for a websocket. Other upgrades are not asked for, so that
    /// the request is answered over HTTP.
    pub(super) fn take(request: &mut Request<upstream::Body>) -> Option<Self> {
        let asks = asks(request);
        let client = request.extensions_mut().remove::<OnUpgrade>()?;
        asks.then_some(Self { client })
    }

    /// Connects the client to the server once both have switched. The place at the server is held until
    /// the websocket ends, or both have been silent for too long.
    pub(super) fn accept<B>(
        self,
        mut response: Response<B>,
        place: Option<Place>,
        longest_silence: Duration,
    ) -> Result<Response<Body>, Failure> {
        if !is_websocket(response.headers()) {
            return Err(Failure::Unasked);
        }
        let server = hyper::upgrade::on(&mut response);
        let client = self.client;
        tokio::spawn(async move {
            if let Ok((client, server)) = tokio::try_join!(client, server) {
                let (client, server) = (TokioIo::new(client), TokioIo::new(server));
                tunnel(client, server, longest_silence).await;
            }
            drop(place);
        });
        let headers = response.headers_mut();
        remove_hop_by_hop(headers);
        headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
        Ok(response.map(|_| Either::Right(Full::default())))
    }
}

fn asks<B: http_body::Body>(request: &Request<B>) -> bool {
    request.version() == Version::HTTP_11
        && request.method() == Method::GET
        && request.body().is_end_stream()
        && is_websocket(request.headers())
}

/// Removes the offer of any other upgrade, so that the request is answered as one of HTTP.
pub(crate) fn decline_others<B: http_body::Body>(request: &mut Request<B>) {
    if !asks(request) {
        request.headers_mut().remove(UPGRADE);
    }
}

fn is_websocket(headers: &http::HeaderMap) -> bool {
    let upgrades = tokens(headers, CONNECTION).any(|name| name.eq_ignore_ascii_case("upgrade"));
    let mut protocols = tokens(headers, UPGRADE);
    let protocol = protocols.next();
    let is_only = protocols.next().is_none();
    upgrades && is_only && protocol.is_some_and(|name| name.eq_ignore_ascii_case("websocket"))
}
