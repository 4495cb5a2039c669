//! Making a response storable: its end-to-end headers, its body up to the limit, its trailers.

use std::pin::Pin;

use bytes::{Buf, Bytes};
use http::{
    HeaderMap, HeaderName, HeaderValue, Response, Uri,
    header::{
        AGE, CACHE_CONTROL, CONNECTION, CONTENT_LENGTH, CONTENT_LOCATION, DATE, EXPIRES, LOCATION,
        TE, TRANSFER_ENCODING, UPGRADE,
    },
};
use http_body::Body;
use http_polling::JOB_STATUS;
use tower::BoxError;
use tower_async_job_core::StoredResponse;

pub(crate) type Recording =
    Pin<Box<dyn Future<Output = Result<StoredResponse, Unrecorded>> + Send>>;

/// Why a response could not be stored.
#[derive(Debug)]
pub(crate) enum Unrecorded {
    TooLarge,
    Broken(BoxError),
}

/// Reads a response to its end. `target` is the path of the request that it answers.
pub(crate) fn record<R>(response: Response<R>, target: &str, limit: usize) -> Recording
where
    R: Body<Data = Bytes> + Send + 'static,
    R::Error: Into<BoxError>,
{
    let (mut parts, body) = response.into_parts();
    keep_end_to_end(&mut parts.headers);
    resolve_references(&mut parts.headers, target);
    let too_large = body.size_hint().lower() > limit as u64;
    let mut recorder = StoredResponse::recorder(parts.status, &parts.headers, limit);
    recorder.reserve(
        usize::try_from(body.size_hint().lower())
            .unwrap_or(limit)
            .min(limit),
    );
    Box::pin(async move {
        if too_large {
            return Err(Unrecorded::TooLarge);
        }
        let mut body = std::pin::pin!(body);
        let mut trailers: Option<HeaderMap> = None;
        while let Some(frame) = std::future::poll_fn(|cx| body.as_mut().poll_frame(cx)).await {
            let frame = frame.map_err(|error| Unrecorded::Broken(error.into()))?;
            match frame.into_data() {
                Ok(data) => recorder
                    .push(data.chunk())
                    .map_err(|_| Unrecorded::TooLarge)?,
                Err(frame) => {
                    if let Ok(more) = frame.into_trailers() {
                        trailers.get_or_insert_default().extend(more);
                    }
                }
            }
        }
        Ok(recorder.finish(trailers.as_ref()))
    })
}

/// Drops what belongs to one connection (RFC 9110, section 7.6.1), to one framing, or to one
/// moment: the replay has its own.
fn keep_end_to_end(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in named {
        headers.remove(name);
    }
    let left: Vec<HeaderName> = headers
        .keys()
        .filter(|name| !is_kept(name))
        .cloned()
        .collect();
    for name in left {
        headers.remove(name);
    }
}

/// In one look at the names there are: mostly they are few.
fn is_kept(name: &HeaderName) -> bool {
    // Caches that have a field of their own obey it before Cache-Control (RFC 9213).
    let is_targeted = |name: &HeaderName| name.as_str().ends_with("-cache-control");
    ![
        CONNECTION,
        TE,
        TRANSFER_ENCODING,
        UPGRADE,
        CONTENT_LENGTH,
        DATE,
        AGE,
        EXPIRES,
        CACHE_CONTROL,
        JOB_STATUS,
    ]
    .contains(name)
        && ![
            "keep-alive",
            "proxy-connection",
            "surrogate-control",
            "x-accel-expires",
        ]
        .contains(&name.as_str())
        && !is_targeted(name)
}

/// Resolves references relative to the path of the submission, since the job's URL is another
/// base (RFC 3986, section 5.1). Absolute URLs and absolute paths mean the same from anywhere.
fn resolve_references(headers: &mut HeaderMap, target: &str) {
    for name in [LOCATION, CONTENT_LOCATION] {
        let Some(value) = headers.get(&name) else {
            continue;
        };
        if let Some(resolved) = resolve_relative(value, target) {
            headers.insert(name, resolved);
        }
    }
}

fn resolve_relative(value: &HeaderValue, target: &str) -> Option<HeaderValue> {
    let reference = value.to_str().ok()?;
    let (reference, fragment) = match reference.split_once('#') {
        Some((reference, fragment)) => (reference, Some(fragment)),
        None => (reference, None),
    };
    if reference.starts_with('/') || has_scheme(reference) {
        return None;
    }
    let base: Uri = target.parse().ok()?;
    let reference = HeaderValue::from_str(reference).ok()?;
    let resolved = http_polling::resolve(&base, &reference).ok()?;
    let resolved = match fragment {
        Some(fragment) => format!("{resolved}#{fragment}"),
        None => resolved.to_string(),
    };
    HeaderValue::from_str(&resolved).ok()
}

fn has_scheme(reference: &str) -> bool {
    reference
        .find([':', '/', '?'])
        .is_some_and(|end| reference.as_bytes()[end] == b':')
}
