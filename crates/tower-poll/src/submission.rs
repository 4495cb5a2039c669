//! What is kept of the caller's request while its answer is awaited.

use http::{HeaderMap, Method, Request, StatusCode, Uri, Version};
use http_polling::JOB_STATUS;
use tokio::time::Instant;

use crate::{
    caller::Caller,
    config::Config,
    dialect::{AZURE_ASYNC_OPERATION, OPERATION_LOCATION},
    kept::{KeptHeaders, KeptText},
};

/// The parts of a submission that its polls may need. Small, since it is
/// moved with the future; keeping them allocates only if more text is to be
/// kept than there is room for.
#[derive(Debug)]
pub(crate) struct Submission {
    text: KeptText,
    at: Instant,
    version: Version,
    kind: Kind,
    /// What the caller asked for beside; few do.
    pub(crate) caller: Option<Box<Caller>>,
}

/// As much of the method as the way to poll depends on.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Get,
    Head,
    Put,
    Patch,
    Delete,
    Other,
}

/// A [`Submission`] that turned out to be needed.
#[derive(Debug)]
pub(crate) struct Sent {
    pub(crate) headers: KeptHeaders,
    /// What is none of GET, HEAD, PUT, PATCH and DELETE is POST.
    pub(crate) method: Method,
    pub(crate) version: Version,
    pub(crate) at: Instant,
    pub(crate) caller: Option<Box<Caller>>,
}

impl Submission {
    // Inlined by force, since a call would have to move what it gives.
    #[inline(always)]
    pub(crate) fn keep<B>(request: &mut Request<B>, config: &Config) -> Self {
        let caller = match request.extensions().is_empty() {
            true => None,
            false => Caller::take(request.extensions_mut()),
        };
        let mut kept = Self {
            text: KeptText::new(),
            at: Instant::now(),
            version: request.version(),
            kind: match *request.method() {
                Method::GET => Kind::Get,
                Method::HEAD => Kind::Head,
                Method::PUT => Kind::Put,
                Method::PATCH => Kind::Patch,
                Method::DELETE => Kind::Delete,
                _ => Kind::Other,
            },
            caller,
        };
        kept.text.put_uri(request.uri());
        if !request.headers().is_empty() {
            kept.text.put_headers(request.headers(), &config.keep);
        }
        kept
    }

    /// With the URI that the submission was sent to.
    pub(crate) fn restore(self) -> (Sent, Uri) {
        let (uri, headers) = self.text.share();
        let sent = Sent {
            headers,
            method: match self.kind {
                Kind::Get => Method::GET,
                Kind::Head => Method::HEAD,
                Kind::Put => Method::PUT,
                Kind::Patch => Method::PATCH,
                Kind::Delete => Method::DELETE,
                Kind::Other => Method::POST,
            },
            version: self.version,
            at: self.at,
            caller: self.caller,
        };
        (sent, uri)
    }
}

/// Whether an answer to a submission is worth a closer look. Says no to
/// nearly everything that is not pending, at the price of one look at the
/// names of its headers.
#[inline]
pub(crate) fn may_be_pending(status: StatusCode, headers: &HeaderMap) -> bool {
    matches!(
        status,
        StatusCode::ACCEPTED
            | StatusCode::MOVED_PERMANENTLY
            | StatusCode::FOUND
            | StatusCode::SEE_OTHER
            | StatusCode::TEMPORARY_REDIRECT
            | StatusCode::PERMANENT_REDIRECT
            | StatusCode::CREATED
    ) || (!headers.is_empty() && headers.keys().any(|name| is_telling(name.as_str())))
}

/// Whether a header of this name makes an answer of any status worth a closer
/// look.
#[inline]
fn is_telling(name: &str) -> bool {
    match name.len() {
        10 => name == JOB_STATUS.as_str(),
        18 => name == OPERATION_LOCATION.as_str(),
        20 => name == AZURE_ASYNC_OPERATION.as_str(),
        _ => false,
    }
}
