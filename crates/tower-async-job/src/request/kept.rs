//! Requests as they are stored with their jobs, to be replayed.

use std::sync::Arc;

use bytes::Bytes;
use http::{Extensions, HeaderMap, HeaderName, Request, header::CONTENT_LENGTH};
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

/// The name among the stored extensions that marks a request without its body.
const HEAD_ONLY: &str = "tower_async_job::head_only";

/// A mark, in its extensions, of a restored request of which only the head was stored: its job can be
/// resumed, but not repeated.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HeadOnly;

impl HeadOnly {
    /// Returns whether a request is marked.
    pub(crate) fn is<B>(request: &Request<B>) -> bool {
        request.extensions().get::<Self>().is_some()
    }
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
        let mut kept = self.keep_head(policy, request, false)?;
        kept.body = body.into();
        kept.trailers = trailers;
        Some(StoredRequest::encode(&kept))
    }

    /// Returns the stored form of a request without its body, whose job can be resumed alone. `None`
    /// if its policy does not ask for that, or an extension cannot be stored.
    pub(crate) fn keep_resumable<B>(
        &self,
        policy: &Policy,
        request: &Request<B>,
    ) -> Option<StoredRequest> {
        if !policy.resume {
            return None;
        }
        let mut kept = self.keep_head(policy, request, true)?;
        kept.headers.remove(CONTENT_LENGTH);
        Some(StoredRequest::encode(&kept))
    }

    fn keep_head<B>(
        &self,
        policy: &Policy,
        request: &Request<B>,
        is_all: bool,
    ) -> Option<ReplayedRequest> {
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
        let stored = panics::catching("an extension", || {
            self.keep_extensions(request.extensions(), is_all)
        });
        match stored.ok()? {
            Ok(extensions) => kept.extensions = extensions,
            Err(error) => {
                tracing::error!(%error, "a request cannot be replayed, since an extension of it cannot be stored");
                return None;
            }
        }
        Some(kept)
    }

    fn keep_extensions(
        &self,
        extensions: &Extensions,
        is_all: bool,
    ) -> Result<Bytes, serde_json::Error> {
        let mut kept = Map::new();
        if is_all {
            // A release that does not know the mark fails the job, and never repeats it.
            kept.insert(HEAD_ONLY.to_owned(), Value::Bool(true));
        }
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
                if name == HEAD_ONLY {
                    extensions.insert(HeadOnly);
                    continue;
                }
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
