//! What is kept of the caller's request while its answer is awaited.

use http::{HeaderMap, Method, Request, StatusCode, Uri, Version};
use http_polling::JOB_STATUS;
use tokio::time::Instant;

use crate::{
    config::Config,
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
}

/// As much of the method as the way to poll depends on.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Get,
    Head,
    Other,
}

/// A [`Submission`] that turned out to be needed.
#[derive(Debug)]
pub(crate) struct Sent {
    pub(crate) headers: KeptHeaders,
    /// GET and HEAD are told, everything else is POST.
    pub(crate) method: Method,
    pub(crate) version: Version,
    pub(crate) at: Instant,
}

impl Submission {
    // Inlined by force, since a call would have to move what it gives.
    #[inline(always)]
    pub(crate) fn keep<B>(request: &Request<B>, config: &Config) -> Self {
        let mut kept = Self {
            text: KeptText::new(),
            at: Instant::now(),
            version: request.version(),
            kind: match *request.method() {
                Method::GET => Kind::Get,
                Method::HEAD => Kind::Head,
                _ => Kind::Other,
            },
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
                Kind::Other => Method::POST,
            },
            version: self.version,
            at: self.at,
        };
        (sent, uri)
    }
}

/// Whether an answer to a submission is worth a closer look. Says no to
/// nearly everything that is not pending, at the price of one look-up.
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
    ) || (!headers.is_empty() && headers.contains_key(JOB_STATUS))
}
