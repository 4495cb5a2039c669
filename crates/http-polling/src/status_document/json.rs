//! Writing a status document. It is in the body of every pending answer, so
//! the members that each has are written without the detour over serde; the
//! text is the same.

use std::time::SystemTime;

use serde::Serialize;

use super::StatusDocument;
use crate::timestamp;

/// What the usual document fits in.
const USUAL_LENGTH: usize = 224;

pub(super) fn of(document: &StatusDocument) -> Vec<u8> {
    let mut json = Vec::with_capacity(USUAL_LENGTH);
    json.extend_from_slice(b"{\"id\":");
    put_text(&mut json, &document.id);
    json.extend_from_slice(b",\"state\":\"");
    json.extend_from_slice(document.state.as_str().as_bytes());
    json.push(b'"');
    put_time(&mut json, ",\"created\":", document.created);
    put_time(&mut json, ",\"started\":", document.started);
    put_time(&mut json, ",\"ended\":", document.ended);
    put(&mut json, ",\"attempt\":", Some(&document.attempt));
    put(
        &mut json,
        ",\"retry_after_ms\":",
        document.retry_after_ms.as_ref(),
    );
    put(&mut json, ",\"progress\":", document.progress.as_ref());
    put(&mut json, ",\"partial\":", document.partial.as_ref());
    put(&mut json, ",\"metadata\":", document.metadata.as_ref());
    json.push(b'}');
    json
}

/// Identifiers seldom have anything to be escaped.
fn put_text(json: &mut Vec<u8>, text: &str) {
    if text.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        json.push(b'"');
        json.extend_from_slice(text.as_bytes());
        json.push(b'"');
    } else {
        put(json, "", Some(text));
    }
}

fn put_time(json: &mut Vec<u8>, name: &str, time: Option<SystemTime>) {
    if let Some(text) = timestamp::text(time) {
        json.extend_from_slice(name.as_bytes());
        json.push(b'"');
        json.extend_from_slice(&text);
        json.push(b'"');
    }
}

/// An absent member is not written.
fn put<T: Serialize + ?Sized>(json: &mut Vec<u8>, name: &str, value: Option<&T>) {
    if let Some(value) = value {
        json.extend_from_slice(name.as_bytes());
        serde_json::to_writer(&mut *json, value)
            .expect("every member has a JSON form, and every key is a string");
    }
}
