//! The last request and its answer, for messages and `-w`.

use std::sync::{Arc, Mutex, PoisonError};

use http::{HeaderMap, Method, Request, Response, StatusCode, Uri, Version};

/// A marker of the user's own request, which distinguishes it from polls.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Submission;

/// The last exchange of a client and its clones.
#[derive(Clone, Debug, Default)]
pub(crate) struct LastExchange(Arc<Mutex<Exchange>>);

/// A request, and the head of its answer once it has arrived.
#[derive(Clone, Debug, Default)]
pub(crate) struct Exchange {
    /// The number of polls that were sent, including this request.
    pub(crate) polls: u32,
    /// The URL of the first request, if there was one.
    pub(crate) first_url: Option<Uri>,
    /// The submission's method and URL, if there was one.
    pub(crate) submission: Option<String>,
    pub(crate) method: Method,
    pub(crate) url: Uri,
    pub(crate) answer: Option<Head>,
    /// The length of the final body.
    pub(crate) downloaded: u64,
}

/// The head of an answer.
#[derive(Clone, Debug)]
pub(crate) struct Head {
    pub(crate) status: StatusCode,
    pub(crate) version: Version,
    pub(crate) headers: HeaderMap,
}

impl LastExchange {
    pub(crate) fn begin<B>(&self, request: &Request<B>) {
        self.change(|exchange| {
            if request.extensions().get::<Submission>().is_none() {
                exchange.polls += 1;
            } else {
                exchange.submission = Some(name(request.method(), request.uri()));
            }
            exchange
                .first_url
                .get_or_insert_with(|| request.uri().clone());
            exchange.method = request.method().clone();
            exchange.url = request.uri().clone();
            exchange.answer = None;
        });
    }

    pub(crate) fn end<B>(&self, response: &Response<B>) {
        self.change(|exchange| {
            exchange.answer = Some(Head {
                status: response.status(),
                version: response.version(),
                headers: response.headers().clone(),
            });
        });
    }

    pub(crate) fn set_downloaded(&self, length: u64) {
        self.change(|exchange| exchange.downloaded = length);
    }

    pub(crate) fn get(&self) -> Exchange {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn change(&self, change: impl FnOnce(&mut Exchange)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl Exchange {
    /// Describes the server and its answer. Returns `None` if no request was
    /// sent.
    pub(crate) fn describe(&self) -> Option<String> {
        self.first_url.as_ref()?;
        let peer = peer_of(&self.url);
        Some(match &self.answer {
            Some(head) => format!("{peer} answered {}", head.status),
            None => format!("{peer} has not answered"),
        })
    }
}

/// Returns a name of a submission.
pub(crate) fn name(method: &Method, url: &Uri) -> String {
    format!("{method} {url}")
}

/// Returns host and port of a URL.
pub(crate) fn peer_of(url: &Uri) -> String {
    let port = url.port_u16().unwrap_or(match url.scheme_str() {
        Some("https") => 443,
        _ => 80,
    });
    format!("{}:{port}", url.host().unwrap_or_default())
}
