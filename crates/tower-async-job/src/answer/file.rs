//! Results as files: conditional requests, and ranges (RFC 9110, sections 13 and 14).

use http::{
    HeaderMap, HeaderValue, Response, StatusCode,
    header::{ACCEPT_RANGES, CACHE_CONTROL, CONTENT_LOCATION, CONTENT_RANGE, ETAG, VARY},
};
use http_body::Body;
use http_polling::{JOB_STATUS, JobState};
use tower_async_job_core::{Protocol, ReplayedResponse};

use crate::{
    answer::refusal::{problem_of, problem_response},
    body::StoredBody,
    headers::set_state,
    request::conditions::{Conditions, Selected, Verdict},
};

/// The headers with a digest of the whole content, which is not that of a part (RFC 9530, section 2).
const DIGESTS_OF_CONTENT: [&str; 2] = ["content-digest", "content-md5"];

/// Returns whether a result can be read conditionally and in parts. Other results are replayed
/// unchanged.
#[inline]
pub(super) fn is_file(replayed: &ReplayedResponse, protocol: Protocol) -> bool {
    replayed.status == StatusCode::OK
        && protocol != Protocol::Grpc
        && replayed.trailers.is_none()
        && !replayed.headers.contains_key(CONTENT_RANGE)
}

/// Returns the answer to a request with conditions, and the position of its first byte if it is the
/// whole result or the rest of it.
#[cold]
pub(super) fn select(
    mut response: Response<StoredBody>,
    conditions: Conditions<'_>,
) -> (Response<StoredBody>, Option<u64>) {
    let headers = response.headers();
    match conditions.verdict(headers) {
        Verdict::Met => {}
        Verdict::NotModified => return (not_modified(headers), None),
        Verdict::Failed => return (refused(StatusCode::PRECONDITION_FAILED), None),
    }
    let length = response.body().size_hint().lower();
    let selected = match accepts_ranges(headers) {
        true => conditions.selected(headers, length),
        false => Selected::Whole,
    };
    let (range, rest_from) = match selected {
        Selected::Whole => return (response, Some(0)),
        Selected::Part {
            first,
            last,
            is_rest,
        } => {
            *response.status_mut() = StatusCode::PARTIAL_CONTENT;
            for digest in DIGESTS_OF_CONTENT {
                response.headers_mut().remove(digest);
            }
            response.body_mut().keep(first, last);
            (
                format!("bytes {first}-{last}/{length}"),
                is_rest.then_some(first),
            )
        }
        Selected::Nothing => {
            response = refused(StatusCode::RANGE_NOT_SATISFIABLE);
            (format!("bytes */{length}"), None)
        }
    };
    let range = HeaderValue::try_from(range).expect("visible ASCII");
    response.headers_mut().insert(CONTENT_RANGE, range);
    (response, rest_from)
}

/// Returns whether the handler allows ranges of bytes.
fn accepts_ranges(headers: &HeaderMap) -> bool {
    let mut units = headers.get_all(ACCEPT_RANGES).iter();
    units.any(|units| {
        let mut units = units.as_bytes().split(|byte| *byte == b',');
        units.any(|unit| unit.trim_ascii().eq_ignore_ascii_case(b"bytes"))
    })
}

/// Returns the answer to a client that has the result, with the headers of RFC 9110, section
/// 15.4.5.
fn not_modified(headers: &HeaderMap) -> Response<StoredBody> {
    let mut response = Response::new(StoredBody::default());
    *response.status_mut() = StatusCode::NOT_MODIFIED;
    for name in [JOB_STATUS, CACHE_CONTROL, CONTENT_LOCATION, ETAG, VARY] {
        for value in headers.get_all(&name) {
            response.headers_mut().append(&name, value.clone());
        }
    }
    response
}

/// Returns the answer to a request whose preconditions or range cannot be met.
pub(super) fn refused(status: StatusCode) -> Response<StoredBody> {
    let mut response = problem_response(&problem_of(status));
    set_state(response.headers_mut(), JobState::Done);
    response
}
