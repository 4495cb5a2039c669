//! Pages of other origins: the requests that a browser lets them send, and the answers that it lets
//! them read (<https://fetch.spec.whatwg.org/#http-cors-protocol>).

use std::sync::Arc;

use http::{
    HeaderMap, HeaderValue, Method, Request, Response, StatusCode,
    header::{
        ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS,
        ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS,
        ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_REQUEST_METHOD,
        ORIGIN, VARY,
    },
};
use http_body_util::{Either, Full};

use crate::{
    config::{Route, Routes},
    fields::remove_beginning,
    proxy,
};

/// The fields of an answer that pages may read, besides those of every answer and those that the
/// server names.
const EXPOSED: HeaderValue = HeaderValue::from_static(
    "Location, Content-Location, Retry-After, retry-after-ms, Job-Status, Preference-Applied, \
     Link, Proxy-Status",
);

/// The seconds for which a browser remembers the answer to a preflight. A page whose origin a
/// reload has removed may send requests for that time, but cannot read their answers.
const MAX_AGE: HeaderValue = HeaderValue::from_static("600");

/// The fields of a request on which the answer to a preflight depends, besides `Origin`.
const ASKED: HeaderValue =
    HeaderValue::from_static("Access-Control-Request-Method, Access-Control-Request-Headers");

/// The rules of one request, which a browser enforces.
pub(super) struct Cors {
    /// `None` for the job resource.
    route: Option<Arc<Route>>,
    /// The method that a preflight asks for.
    asked: Option<Method>,
    /// The origin of the page, if it is one of those that may read.
    allowed: Option<HeaderValue>,
}

impl Cors {
    /// Returns the rules of a request to the job resource, which does not know the routes of jobs:
    /// the origins are those of all routes.
    pub(super) fn of_job<B>(origins: &[String], request: &Request<B>) -> Self {
        Self {
            route: None,
            asked: asked(request),
            allowed: allowed(origins, request),
        }
    }

    /// Returns the rules of a request to a route that has origins. That of a preflight is the route
    /// of the method that it asks for.
    pub(super) fn of_route<B>(routes: &Routes, request: &Request<B>) -> Option<Self> {
        let asked = asked(request);
        let method = asked.as_ref().unwrap_or(request.method());
        let route = routes.find(method, request.uri().path())?;
        let has_origins = !route.cors_origins.is_empty();
        has_origins.then(|| Self {
            route: Some(route.clone()),
            allowed: allowed(&route.cors_origins, request),
            asked,
        })
    }

    /// Returns the route; the job resource has none.
    pub(super) fn route(&self) -> Option<&Route> {
        self.route.as_deref()
    }

    /// Returns the answer to a preflight, if the request is one. It allows what the page asks for:
    /// in requests with credentials, `*` would allow nothing.
    pub(super) fn preflight(&self, request: &HeaderMap) -> Option<Response<proxy::Body>> {
        let method = HeaderValue::from_str(self.asked.as_ref()?.as_str()).ok()?;
        let mut response = Response::new(Either::Right(Full::default()));
        *response.status_mut() = StatusCode::NO_CONTENT;
        let headers = response.headers_mut();
        headers.insert(ACCESS_CONTROL_ALLOW_METHODS, method);
        for fields in request.get_all(ACCESS_CONTROL_REQUEST_HEADERS) {
            headers.append(ACCESS_CONTROL_ALLOW_HEADERS, fields.clone());
        }
        headers.insert(ACCESS_CONTROL_MAX_AGE, MAX_AGE);
        headers.insert(VARY, ASKED);
        Some(response)
    }

    /// Sets the fields of an answer, in place of those that the server made for another origin.
    pub(super) fn set(&self, headers: &mut HeaderMap) {
        // The result of a route without origins passes unchanged. The proxy removes the field from
        // those of other routes.
        if self.route.is_none() && headers.contains_key(ACCESS_CONTROL_ALLOW_ORIGIN) {
            return;
        }
        if !proxy::tokens(headers, VARY).any(is_origin) {
            headers.append(VARY, HeaderValue::from_static("Origin"));
        }
        let Some(origin) = &self.allowed else {
            return remove_beginning(headers, "access-control-");
        };
        let credentials = HeaderValue::from_static("true");
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, credentials);
        headers.append(ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
    }
}

/// Returns the method that a preflight asks for.
fn asked<B>(request: &Request<B>) -> Option<Method> {
    let headers = request.headers();
    let method = headers.get(ACCESS_CONTROL_REQUEST_METHOD)?;
    let is_preflight = request.method() == Method::OPTIONS && headers.contains_key(ORIGIN);
    let method = is_preflight.then(|| Method::from_bytes(method.as_bytes()));
    method?.ok()
}

/// Returns the origin of a request, if it is one of these.
fn allowed<B>(origins: &[String], request: &Request<B>) -> Option<HeaderValue> {
    let origin = request.headers().get(ORIGIN)?;
    let is_listed = origins.iter().any(|listed| origin == listed);
    is_listed.then(|| origin.clone())
}

fn is_origin(name: &str) -> bool {
    name == "*" || name.eq_ignore_ascii_case("origin")
}
