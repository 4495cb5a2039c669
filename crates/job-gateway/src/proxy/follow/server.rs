//! The server of a followed request, as the layer that polls sees it.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use http::{
    HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, Uri,
    header::{CONTENT_LOCATION, HOST, LOCATION, RETRY_AFTER},
};
use http_polling::same_origin;
use tokio::time::timeout;
use tower::Service;
use tower_poll::Job;

use super::super::{forwarded::PROTO, headers, target::Target};
use crate::upstream::{self, Client, Error, Incoming};

/// The fields with URLs of jobs.
const LOCATIONS: [HeaderName; 4] = [
    LOCATION,
    CONTENT_LOCATION,
    HeaderName::from_static("operation-location"),
    HeaderName::from_static("azure-asyncoperation"),
];

/// A mark of the request itself, whose response the layer of jobs limits, unlike those to polls.
#[derive(Clone, Copy)]
struct Submission {
    /// The server may deliver the result later.
    is_left: bool,
}

/// The body of a request; that of a poll is empty.
// A type of its own, since compilers do not see that one with a `dyn` among its parameters is `Send`
// in the state of a future (rust 64552).
#[derive(Default)]
pub(super) struct Upload(upstream::Body);

/// The server's job.
pub(super) type Polled = Job<Server, Upload, Incoming>;

/// Marks a request as other than a poll. Its server may deliver the result later.
pub(super) fn submission(request: Request<upstream::Body>, is_left: bool) -> Request<Upload> {
    let mut request = request.map(Upload);
    request.extensions_mut().insert(Submission { is_left });
    request
}

/// A service that sends requests to one server, whatever their URLs say. The server's own URLs lose
/// their origin, so that only paths are polled: any other URL leads elsewhere, and is refused.
#[derive(Clone)]
pub(super) struct Server {
    client: Client,
    response_timeout: Duration,
    /// The origins by which the server names itself: first that which its clients see.
    origins: Vec<Uri>,
}

impl Server {
    /// Returns the server of a request with these fields.
    pub(super) fn new(target: &Target, headers: &HeaderMap) -> Self {
        let upstream = &target.route.upstream;
        let text = |name| {
            headers
                .get(name)
                .and_then(|value: &HeaderValue| value.to_str().ok())
        };
        let host = text(HOST).unwrap_or_default();
        let schemes = match text(PROTO) {
            Some("https") => ["https", "http"],
            _ => ["http", "https"],
        };
        let seen = schemes.map(|scheme| format!("{scheme}://{host}/").parse().ok());
        let own = Some(upstream.url.clone());
        Self {
            client: target.client.clone(),
            response_timeout: upstream.response_timeout,
            origins: seen.into_iter().chain([own]).flatten().collect(),
        }
    }

    /// Returns the origin by which clients know the server.
    pub(super) fn origin(&self) -> Uri {
        self.origins.first().cloned().unwrap_or_default()
    }

    /// Makes the server's own URLs in a pending answer paths.
    fn localise(&self, response: &mut Response<Incoming>) {
        let status = response.status();
        let headers = response.headers_mut();
        let announces = match status {
            StatusCode::OK | StatusCode::CREATED | StatusCode::ACCEPTED => true,
            _ => status.is_redirection() && headers.contains_key(RETRY_AFTER),
        };
        if !announces {
            return;
        }
        // The resource that a request has created is no job, and its URL is for the client.
        let is_final = matches!(status, StatusCode::OK | StatusCode::CREATED);
        for name in &LOCATIONS[if is_final { 2 } else { 0 }..] {
            let Some(path) = headers.get(name).and_then(|url| self.path_of(url)) else {
                continue;
            };
            headers.insert(name, path);
        }
    }

    fn path_of(&self, url: &HeaderValue) -> Option<HeaderValue> {
        let url: Uri = url.to_str().ok()?.parse().ok()?;
        url.authority()?;
        let is_own = self.origins.iter().any(|origin| same_origin(origin, &url));
        let path = is_own.then(|| url.path_and_query())??;
        HeaderValue::from_str(path.as_str()).ok()
    }
}

impl Service<Request<Upload>> for Server {
    type Response = Response<Incoming>;
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Incoming>, Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Upload>) -> Self::Future {
        let server = self.clone();
        Box::pin(async move {
            let submission = request.extensions().get::<Submission>().copied();
            let sending = server.client.send(request.map(|Upload(body)| body));
            let mut response = match submission {
                Some(_) => sending.await?,
                None => {
                    let limit = server.response_timeout;
                    let sent = timeout(limit, sending).await;
                    sent.unwrap_or_else(|_| Err(Error::timeout(limit)))?
                }
            };
            if submission.is_some_and(|submission| submission.is_left) {
                headers::forget_job(&mut response);
            }
            server.localise(&mut response);
            Ok(response)
        })
    }
}
