//! The events of a job, in the format of event streams (WHATWG HTML, section 9.2).

use std::time::Duration;

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Response,
    header::{CACHE_CONTROL, CONTENT_TYPE},
};
use http_polling::{JobState, StatusDocumentRef};
use tower_async_job_core::{JobId, JobRecord};

use crate::{
    answer::{document::document, pending::known},
    body::StoredBody,
    config::Config,
    node::front::Front,
};

/// The shortest and the longest delay before a client connects again: beyond them, it would ask too
/// often, or miss progress that it listens for.
const SHORTEST_RETRY: Duration = Duration::from_secs(1);
const LONGEST_RETRY: Duration = Duration::from_secs(5);

/// A comment, by which proxies and servers notice that the connection is alive, or is not.
pub(crate) const HEARTBEAT: Bytes = Bytes::from_static(b":\n\n");

/// `X-Accel-Buffering` makes nginx, and proxies that follow it, send events as they come.
const HEADERS: [(HeaderName, &str); 3] = [
    (CONTENT_TYPE, "text/event-stream"),
    (CACHE_CONTROL, "no-store"),
    (HeaderName::from_static("x-accel-buffering"), "no"),
];

/// Returns the answer with a stream of events. It has no `Job-Status`, by which a client that polls
/// would take it for the answer to a poll.
pub(crate) fn stream(body: StoredBody) -> Response<StoredBody> {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    *headers = HeaderMap::with_capacity(HEADERS.len());
    for (name, value) in HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

/// Returns the beginning of the stream of a pending job: the delay before a client connects again,
/// which is that of its next poll within limits, and the state of the job unless the client has it.
pub(crate) fn opening(front: &Front, record: &JobRecord, is_known: bool) -> Bytes {
    let delay = front.node.retry_after(&record.id, &known(front, record));
    let delay = delay.clamp(SHORTEST_RETRY, LONGEST_RETRY).as_millis();
    let state = if is_known {
        HEARTBEAT
    } else {
        progress(record)
    };
    let opening = [format!("retry: {delay}\n").as_bytes(), &state].concat();
    Bytes::from(opening)
}

/// Returns the event of a pending job.
pub(crate) fn progress(record: &JobRecord) -> Bytes {
    let json = document(record, record.id.encode().as_str()).to_json();
    event("progress", Some(record.version), json)
}

/// Returns the event of a job that has ended.
pub(crate) fn end(config: &Config, record: &JobRecord) -> Bytes {
    let id = record.id.encode();
    let document = document(record, id.as_str());
    event("end", Some(record.version), located(config, document))
}

/// Returns the event of a job that does not exist any more.
pub(crate) fn end_of_unknown(config: &Config, id: &JobId) -> Bytes {
    let id = id.encode();
    let document = StatusDocumentRef::new(id.as_str(), JobState::Unknown);
    event("end", None, located(config, document))
}

/// Returns a document with the URL of the job as a further member.
fn located(config: &Config, document: StatusDocumentRef<'_>) -> Vec<u8> {
    let url = [&*config.public_base, "/", document.id].concat();
    let mut json = document.to_json();
    json.pop();
    json.extend_from_slice(b",\"location\":");
    json.extend_from_slice(serde_json::Value::from(url).to_string().as_bytes());
    json.push(b'}');
    json
}

fn event(name: &str, version: Option<u64>, mut json: Vec<u8>) -> Bytes {
    // A line break ends the field. In JSON, it may only be between two tokens.
    for byte in &mut json {
        if matches!(byte, b'\n' | b'\r') {
            *byte = b' ';
        }
    }
    let id = version.map(|version| format!("id: {version}\n"));
    let head = format!("{}event: {name}\ndata: ", id.unwrap_or_default());
    Bytes::from([head.as_bytes(), &json, b"\n\n"].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_is_one_line_whatever_a_handler_has_written() {
        let event = event("progress", Some(7), b"{\"partial\":[1,\r\n2]}".to_vec());
        assert_eq!(
            event,
            "id: 7\nevent: progress\ndata: {\"partial\":[1,  2]}\n\n"
        );
    }
}
