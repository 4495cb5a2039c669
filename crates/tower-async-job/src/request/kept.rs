//! Requests as they are stored with their jobs, to be replayed.

use std::sync::Arc;

use bytes::Bytes;
use http::{Extensions, HeaderMap, HeaderName, Request};
use serde_json::{Map, Value, from_slice, to_vec};
use tower::BoxError;
use tower_async_job_core::{Principal, ReplayedRequest, StoredRequest};

use crate::{
    body::{JobBody, RoomOfCopy, StoredBody},
    config::{Config, policy::Policy},
    observe::links::keep_submission,
    panics,
};

/// The headers that are stored, beside those that begin with `content-` or `accept`. None of them is
/// a credential.
const HEADERS: [&str; 6] = [
    "grpc-accept-encoding",
    "grpc-encoding",
    "idempotency-key",
    "te",
    "traceparent",
    "tracestate",
];

/// A request as it is stored with its job.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) request: StoredRequest,
    /// The room of its body.
    pub(crate) room: Option<Arc<RoomOfCopy>>,
}

impl Policy {
    fn keeps(&self, name: &HeaderName) -> bool {
        let text = name.as_str();
        text.starts_with("content-")
            || text.starts_with("accept")
            || HEADERS.contains(&text)
            || self.kept_headers.contains(name)
    }
}

impl Config {
    /// Returns a request in its stored form. `None` if an extension cannot be stored: the job is
    /// then bound to its node.
    pub(crate) fn keep<B>(
        &self,
        policy: &Policy,
        request: &Request<B>,
        body: Vec<u8>,
        trailers: Option<HeaderMap>,
    ) -> Option<StoredRequest> {
        let mut kept = ReplayedRequest::default();
        kept.method = request.method().clone();
        kept.uri = request.uri().clone();
        kept.version = request.version();
        for (name, value) in request.headers() {
            if policy.keeps(name) {
                kept.headers.append(name, value.clone());
            }
        }
        keep_submission(&mut kept.headers);
        kept.body = body.into();
        kept.trailers = trailers;
        let stored = panics::catching("an extension", || {
            self.keep_extensions(request.extensions())
        });
        match stored.ok()? {
            Ok(extensions) => kept.extensions = extensions,
            Err(error) => {
                tracing::error!(%error, "a request cannot be replayed, since an extension of it cannot be stored");
                return None;
            }
        }
        Some(StoredRequest::encode(&kept))
    }

    fn keep_extensions(&self, extensions: &Extensions) -> Result<Bytes, serde_json::Error> {
        let mut kept = Map::new();
        for extension in &self.extensions {
            if let Some(stored) = (extension.store)(extensions)? {
                kept.insert(extension.name.to_owned(), stored);
            }
        }
        if kept.is_empty() {
            return Ok(Bytes::new());
        }
        to_vec(&kept).map(Bytes::from)
    }

    /// Returns a stored request, with its principal, as its handler receives it.
    pub(crate) fn restore(
        &self,
        stored: &StoredRequest,
        principal: Option<&Principal>,
    ) -> Result<Request<JobBody<StoredBody>>, BoxError> {
        let kept = stored.decode()?;
        let body = StoredBody::from(kept.body).with_trailers(kept.trailers);
        let mut request = Request::new(JobBody::new(body));
        *request.method_mut() = kept.method;
        *request.uri_mut() = kept.uri;
        *request.version_mut() = kept.version;
        *request.headers_mut() = kept.headers;
        let extensions = request.extensions_mut();
        if !kept.extensions.is_empty() {
            for (name, stored) in from_slice::<Map<String, Value>>(&kept.extensions)? {
                let mut known = self.extensions.iter();
                let known = known.find(|extension| extension.name == name);
                let known = known.ok_or_else(|| format!("the extension {name:?} is unknown"))?;
                (known.restore)(stored, extensions)?;
            }
        }
        if let Some(principal) = principal {
            extensions.insert(principal.clone());
        }
        Ok(request)
    }
}
