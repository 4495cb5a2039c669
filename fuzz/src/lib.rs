//! The common parts of the fuzz targets.

use arbitrary::{Arbitrary, Unstructured};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri};
use serde_json::{Map, Value};

/// The header names that are relevant in answers.
const NAMES: [&str; 18] = [
    "location",
    "content-location",
    "operation-location",
    "azure-asyncoperation",
    "retry-after",
    "retry-after-ms",
    "x-ms-retry-after-ms",
    "job-status",
    "set-cookie",
    "date",
    "age",
    "content-type",
    "content-length",
    "preference-applied",
    "x-progress",
    "link",
    "odata-version",
    "asyncresult",
];

const URIS: [&str; 7] = [
    "https://example.com/a/b?c",
    "http://example.com:8080",
    "https://[::1]/{x}/y",
    "http://example.com?q=//",
    "/package.Service/Method",
    "/",
    "*",
];

/// The relevant members of documents, and some of their values.
const MEMBERS: [&str; 16] = [
    "status",
    "properties",
    "provisioningState",
    "resourceLocation",
    "percentComplete",
    "error",
    "code",
    "message",
    "links",
    "rel",
    "href",
    "progress",
    "id",
    "state",
    "attempt",
    "done",
];
const WORDS: [&str; 12] = [
    "Succeeded",
    "InProgress",
    "Failed",
    "Canceled",
    "running",
    "successful",
    "dismissed",
    "done",
    "results",
    "/result",
    "https://elsewhere.example/result",
    "file:///etc/passwd",
];

const METHODS: [Method; 6] = [
    Method::GET,
    Method::HEAD,
    Method::POST,
    Method::PUT,
    Method::PATCH,
    Method::DELETE,
];

/// The head of an answer.
#[derive(Clone, Debug)]
pub struct Head {
    /// Any status code.
    pub status: StatusCode,
    /// Up to eight headers with relevant names.
    pub headers: HeaderMap,
}

impl<'a> Arbitrary<'a> for Head {
    fn arbitrary(input: &mut Unstructured<'a>) -> arbitrary::Result<Self> {
        let code = match input.int_in_range(0..=7)? {
            0 => input.int_in_range(100..=999)?,
            _ => *input.choose(&[200, 202, 301, 303, 307, 401, 404, 503])?,
        };
        let mut headers = HeaderMap::new();
        for _ in 0..input.int_in_range(0..=8)? {
            let name = HeaderName::from_static(input.choose(&NAMES)?);
            headers.append(name, header_value(input.arbitrary()?));
        }
        Ok(Self {
            status: StatusCode::from_u16(code).expect("from 100 to 999"),
            headers,
        })
    }
}

/// The request of an answer.
#[derive(Clone, Debug)]
pub struct Asked {
    /// A relevant method.
    pub method: Method,
    /// An absolute or path-only URI.
    pub uri: Uri,
}

impl<'a> Arbitrary<'a> for Asked {
    fn arbitrary(input: &mut Unstructured<'a>) -> arbitrary::Result<Self> {
        Ok(Self {
            method: input.choose(&METHODS)?.clone(),
            uri: Uri::from_static(input.choose(&URIS)?),
        })
    }
}

/// A body, mostly a JSON object with relevant members.
#[derive(Clone, Debug, Default)]
pub struct Document(pub Vec<u8>);

impl<'a> Arbitrary<'a> for Document {
    fn arbitrary(input: &mut Unstructured<'a>) -> arbitrary::Result<Self> {
        Ok(Self(match input.ratio(1, 4)? {
            true => input.arbitrary()?,
            false => object(input, 0)?.to_string().into_bytes(),
        }))
    }
}

fn object(input: &mut Unstructured<'_>, depth: usize) -> arbitrary::Result<Value> {
    let mut members = Map::new();
    for _ in 0..input.int_in_range(0..=6)? {
        members.insert((*input.choose(&MEMBERS)?).into(), value(input, depth)?);
    }
    Ok(members.into())
}

fn value(input: &mut Unstructured<'_>, depth: usize) -> arbitrary::Result<Value> {
    Ok(match input.int_in_range(0..=9)? {
        0 => input.arbitrary::<&str>()?.into(),
        1 => input.arbitrary::<f64>()?.into(),
        2 => input.arbitrary::<Option<bool>>()?.into(),
        3 | 4 if depth < 3 => object(input, depth + 1)?,
        5 if depth < 3 => vec![object(input, depth + 1)?].into(),
        _ => (*input.choose(&WORDS)?).into(),
    })
}

/// Converts bytes to a header value, and replaces those that it may not contain.
pub fn header_value(bytes: &[u8]) -> HeaderValue {
    let tamed = |byte: &u8| {
        if byte.is_ascii_control() {
            b'\t'
        } else {
            *byte
        }
    };
    let bytes: Vec<u8> = bytes.iter().map(tamed).collect();
    HeaderValue::from_bytes(&bytes).expect("no control characters")
}

/// Converts the lines of `bytes` to values of one header.
pub fn headers_of(name: &'static str, bytes: &[u8]) -> HeaderMap {
    let lines = bytes.split(|byte| *byte == b'\n');
    lines
        .map(|line| (HeaderName::from_static(name), header_value(line)))
        .collect()
}

/// Returns whether `uri` can be polled: http or https with a host and without a
/// user, or a path only.
pub fn is_pollable(uri: &Uri) -> bool {
    match (uri.scheme_str(), uri.authority()) {
        (Some("http" | "https"), Some(authority)) => {
            !authority.as_str().contains(['@', '%']) && !authority.host().is_empty()
        }
        (None, None) => uri.path().starts_with('/') && !uri.path().starts_with("//"),
        _ => false,
    }
}

/// One call, on virtual time.
pub mod call {
    use std::{
        convert::Infallible,
        sync::{Arc, Mutex},
        time::Duration,
    };

    use bytes::Bytes;
    use http::{HeaderMap, Method, Request, Response, Uri};
    use http_body_util::Full;
    use tokio::{runtime::Builder, time::Instant};
    use tower::{Layer, ServiceExt, service_fn};
    use tower_poll::{Error, PollLayer, PollPolicy};

    use crate::{Document, Head};

    /// An answer to a request.
    pub type Answer = (Head, Document);

    /// A received request, and the time of its arrival.
    #[derive(Debug)]
    pub struct Seen {
        /// The method.
        pub method: Method,
        /// The URI.
        pub uri: Uri,
        /// The headers.
        pub headers: HeaderMap,
        /// The time since the start of the call.
        pub at: Duration,
    }

    /// The outcome of a call.
    pub struct Run {
        /// The requests.
        pub seen: Vec<Seen>,
        /// The caller's result.
        pub outcome: Result<Response<Full<Bytes>>, Error>,
        /// The duration of the call.
        pub took: Duration,
    }

    /// Sends `request` through `layer` to a server that returns these answers in
    /// order, and an empty 200 after the last one.
    pub fn run<P: PollPolicy + Clone>(
        layer: PollLayer<P>,
        request: Request<&'static str>,
        answers: Vec<Answer>,
    ) -> Run {
        let runtime = Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build();
        runtime.expect("a runtime").block_on(async {
            let start = Instant::now();
            let seen = Arc::new(Mutex::new(Vec::new()));
            let kept = Arc::clone(&seen);
            let answers = Arc::new(answers);
            let server = service_fn(move |request: Request<&'static str>| {
                let mut seen = kept.lock().expect("not poisoned");
                let mut response = Response::new(Full::default());
                if let Some((head, Document(body))) = answers.get(seen.len()) {
                    response = Response::new(Full::from(body.clone()));
                    *response.status_mut() = head.status;
                    *response.headers_mut() = head.headers.clone();
                }
                seen.push(Seen {
                    method: request.method().clone(),
                    uri: request.uri().clone(),
                    headers: request.headers().clone(),
                    at: start.elapsed(),
                });
                async move { Ok::<_, Infallible>(response) }
            });
            let outcome = layer.layer(server).oneshot(request).await;
            let took = start.elapsed();
            let seen = std::mem::take(&mut *seen.lock().expect("not poisoned"));
            Run {
                seen,
                outcome,
                took,
            }
        })
    }
}
