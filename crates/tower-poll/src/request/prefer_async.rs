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

/// Adds the preferences to a request that is to have them and has them not
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
