//! The request while its answer is awaited.

use http::{HeaderMap, HeaderName, Method, Request, StatusCode, Uri, Version};
use http_polling::JOB_STATUS;
use tokio::time::Instant;

use super::{
    caller::Caller,
    kept::{KeptHeaders, KeptText},
};
use crate::{
    config::Config,
    dialect::{AZURE_ASYNC_OPERATION, OPERATION_LOCATION},
    statuses::announces,
};

/// The parts of a submission that its polls may need. Small, since it is moved
/// with the future; keeping them allocates only for long texts.
#[derive(Debug)]
pub(crate) struct Submission {
    text: KeptText,
    at: Instant,
    version: Version,
    /// `None` for a custom method, whose name is in the text.
    method: Option<&'static Method>,
}

/// A [`Submission`] whose answer may be pending.
#[derive(Debug)]
pub(crate) struct Sent {
    pub(crate) headers: KeptHeaders,
    pub(crate) method: Method,
    pub(crate) version: Version,
    pub(crate) at: Instant,
    pub(crate) caller: Option<Box<Caller>>,
}

impl Submission {
    // Inlined by force, since a call would have to move the result.
    #[inline(always)]
    pub(crate) fn keep<B>(request: &Request<B>, config: &Config) -> Self {
        let mut kept = Self {
            text: KeptText::new(),
            at: Instant::now(),
            version: request.version(),
            method: standard(request.method()),
        };
        if kept.method.is_none() {
            kept.text.put_method(request.method());
        }
        kept.text.put_uri(request.uri());
        if !request.headers().is_empty() {
            kept.text.put_headers(request.headers(), &config.keep);
        }
        kept
    }

    /// Returns whether the call is one of gRPC.
    pub(crate) fn is_grpc(&self) -> bool {
        self.text.is_grpc()
    }

    /// Returns it with the URI of the submission.
    pub(crate) fn restore(self, caller: Option<Box<Caller>>) -> (Sent, Uri) {
        let (custom, uri, headers) = self.text.share();
        let sent = Sent {
            headers,
            method: match self.method {
                Some(standard) => standard.clone(),
                None => custom.unwrap_or_default(),
            },
            version: self.version,
            at: self.at,
            caller,
        };
        (sent, uri)
    }
}

/// Returns the method as a constant, which takes less to keep and to drop than
/// a [`Method`] does.
#[inline]
fn standard(method: &Method) -> Option<&'static Method> {
    Some(match *method {
        Method::GET => &Method::GET,
        Method::HEAD => &Method::HEAD,
        Method::POST => &Method::POST,
        Method::PUT => &Method::PUT,
        Method::PATCH => &Method::PATCH,
        Method::DELETE => &Method::DELETE,
        Method::OPTIONS => &Method::OPTIONS,
        Method::CONNECT => &Method::CONNECT,
        Method::TRACE => &Method::TRACE,
        _ => return None,
    })
}

/// Returns whether an answer to a submission may be pending. False for nearly
/// every final one, after one look at the names of its headers.
// Inlined by force, since a call would have to move the answer.
#[inline(always)]
pub(crate) fn may_be_pending(status: StatusCode, headers: &HeaderMap) -> bool {
    announces(status)
        || status == StatusCode::CREATED
        || (!headers.is_empty() && has_pending_header(headers))
}

/// Returns whether there is a header of pending answers of any status.
fn has_pending_header(headers: &HeaderMap) -> bool {
    let mut names = headers.keys().map(HeaderName::as_str);
    names.any(|name| match name.len() {
        10 => name == JOB_STATUS.as_str(),
        18 => name == OPERATION_LOCATION.as_str(),
        20 => name == AZURE_ASYNC_OPERATION.as_str(),
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use http::header::TE;

    use super::*;

    #[test]
    fn every_method_stays_what_it_is() {
        let long = Method::from_bytes(&[b'M'; 70_000]).unwrap();
        let custom = Method::from_bytes(b"REPORT").unwrap();
        for method in [Method::GET, Method::OPTIONS, custom, long] {
            let uri = "https://example.com/a?b=c";
            let request = Request::builder().method(&method).uri(uri);
            let request = request.header(TE, "trailers").body(()).unwrap();
            let kept = Submission::keep(&request, &Config::default());
            assert!(kept.is_grpc());
            let (sent, kept_uri) = kept.restore(None);
            assert_eq!((sent.method, kept_uri), (method, request.uri().clone()));
        }
    }
}
