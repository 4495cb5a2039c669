//! The facts of a request, as the gateway receives it.

use std::time::SystemTime;

use http::{Request, header::HOST};
use http_polling::{Prefer, cancel_after};

use super::{connection::Connection, live::Live};
use crate::proxy::{Facts, Forwarded, Hop, Target};

pub(super) fn facts<B>(
    request: &Request<B>,
    connection: Connection,
    live: &Live,
    target: &Target,
    trace: String,
) -> Facts {
    let host = host(request);
    let hop = Hop {
        address: connection.address,
        host,
        secure: connection.secure,
        trusted: live.trusts(connection),
    };
    // One that cannot be read is refused by the layer.
    let asked = cancel_after(request.headers()).ok().flatten();
    let limit = target.deferrable.then_some(target.route.deadline);
    let limit = [asked, limit].into_iter().flatten().min();
    let received = SystemTime::now();
    Facts {
        forwarded: Forwarded::of(hop, request.headers()),
        host: host.map(str::to_owned),
        trace,
        deadline: limit.and_then(|limit| received.checked_add(limit)),
        received,
        prefers_async: Prefer::from_headers(request.headers()).respond_async(),
        is_repeatable: target.replayable,
    }
}

/// Returns the server that the client asked: that of the target, if it names one (RFC 9112, section
/// 3.2.2).
fn host<B>(request: &Request<B>) -> Option<&str> {
    match request.uri().authority() {
        Some(authority) => Some(authority.as_str()),
        None => request.headers().get(HOST)?.to_str().ok(),
    }
}
