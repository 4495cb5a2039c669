//! Requests for a deferred answer (RFC 7240, section 4.1).

use http::Request;
use http_polling::{Prefer, RequestHead};

use crate::config::Config;

/// Put into a request's extensions, it makes [`PollLayer`](crate::PollLayer)
/// send this one call with `Prefer: respond-async`.
///
/// A server that honours it accepts the work at once, and the layer polls
/// instead of holding the connection. Calls without it that no
/// [predicate](crate::PollLayer::prefer_async) picks are sent unchanged.
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

/// Adds the preferences of the layer and of the request that are not there
/// yet.
pub(crate) fn prefer<B>(request: &mut Request<B>, config: &Config) {
    let wanted = request.extensions().get::<PreferAsync>().is_some()
        || config
            .prefer_async
            .as_ref()
            .is_some_and(|asks| asks(RequestHead::of(request)));
    let wait = config.prefer_wait;
    if !wanted && wait.is_none() {
        return;
    }
    let asked = Prefer::from_headers(request.headers());
    let mut prefer = Prefer::new();
    if wanted && !asked.respond_async() {
        prefer = prefer.with_respond_async();
    }
    if let Some(wait) = wait
        && asked.wait().is_none()
    {
        prefer = prefer.with_wait(wait);
    }
    prefer.append_to(request.headers_mut());
}
