//! Asking for a deferred answer (RFC 7240, section 4.1).

use http::Request;
use http_polling::{Prefer, RequestHead};

use crate::config::Config;

/// Put into a request's extensions, it makes [`PollLayer`](crate::PollLayer)
/// send this one call with `Prefer: respond-async`.
///
/// A server that honours it accepts the work at once and lets the layer poll,
/// in place of holding the connection. Calls without it, and without a
/// [predicate](crate::PollLayer::prefer_async) that picks them, are sent as
/// they are.
///
/// ```
/// use http::Request;
/// use tower_poll::PreferAsync;
///
/// let mut request = Request::post("https://example.com/report").body(()).unwrap();
/// request.extensions_mut().insert(PreferAsync);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PreferAsync;

/// Adds the preference to a request that is to have it and has it not yet.
pub(crate) fn ask<B>(request: &mut Request<B>, config: &Config) {
    let wanted = request.extensions().get::<PreferAsync>().is_some()
        || config
            .prefer_async
            .as_ref()
            .is_some_and(|asks| asks(RequestHead::of(request)));
    if wanted && !Prefer::from_headers(request.headers()).respond_async() {
        Prefer::new()
            .with_respond_async()
            .append_to(request.headers_mut());
    }
}
