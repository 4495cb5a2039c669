//! Inspection of the final answer while it is written.

use http::{HeaderMap, header::CONTENT_TYPE};
use http_polling::without_byte_order_mark;
use serde_json::Value;

/// The maximum length of a document that is inspected: 64 KiB.
const LIMIT: usize = 64 * 1024;

/// JSON pointers to the members that may hold a state.
const MEMBERS: [&str; 4] = [
    "/status",
    "/state",
    "/provisioningState",
    "/properties/provisioningState",
];

/// The names of unfinished states, without spaces, hyphens and underscores.
const RUNNING: [&str; 10] = [
    "accepted",
    "creating",
    "inprogress",
    "notstarted",
    "pending",
    "processing",
    "queued",
    "running",
    "started",
    "updating",
];

/// The length of a body, and its start if it may be a status document.
#[derive(Debug)]
pub(super) struct Glance {
    pub(super) length: u64,
    start: Option<Vec<u8>>,
}

impl Glance {
    pub(super) fn new(headers: &HeaderMap) -> Self {
        let content_type = headers.get(CONTENT_TYPE);
        let is_json = content_type
            .and_then(|value| value.to_str().ok())
            .is_some_and(|text| text.to_ascii_lowercase().contains("json"));
        Self {
            length: 0,
            start: is_json.then(Vec::new),
        }
    }

    pub(super) fn add(&mut self, data: &[u8]) {
        self.length += data.len() as u64;
        match &mut self.start {
            Some(start) if start.len() + data.len() <= LIMIT => start.extend_from_slice(data),
            start => *start = None,
        }
    }

    /// Returns the member with an unfinished state, as a path with dots, and the
    /// name of the state.
    pub(super) fn running(&self) -> Option<(String, String)> {
        let start = without_byte_order_mark(self.start.as_deref()?);
        let document: Value = serde_json::from_slice(start).ok()?;
        MEMBERS.iter().find_map(|member| {
            let word = document.pointer(member)?.as_str()?;
            let plain = word.replace([' ', '-', '_'], "").to_ascii_lowercase();
            let member = member[1..].replace('/', ".");
            RUNNING
                .contains(&&*plain)
                .then(|| (member, word.to_owned()))
        })
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn running(content_type: &'static str, body: &str) -> Option<(String, String)> {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        let mut glance = Glance::new(&headers);
        for chunk in body.as_bytes().chunks(7) {
            glance.add(chunk);
        }
        assert_eq!(glance.length, body.len() as u64);
        glance.running()
    }

    #[test]
    fn words_for_running_are_found() {
        let found = |member: &str, word: &str| Some((member.to_owned(), word.to_owned()));
        let json = "application/problem+json; charset=utf-8";
        for (body, expected) in [
            (
                r#"{"status":"In Progress"}"#,
                found("status", "In Progress"),
            ),
            (
                r#"{"state":"RUNNING","status":7}"#,
                found("state", "RUNNING"),
            ),
            (
                r#"{"properties":{"provisioningState":"Creating"}}"#,
                found("properties.provisioningState", "Creating"),
            ),
            (
                "\u{feff}{\"status\":\"running\"}",
                found("status", "running"),
            ),
            (r#"{"status":"Succeeded"}"#, None),
            (r#"["running"]"#, None),
            (r#"{"status":"running""#, None),
        ] {
            assert_eq!(running(json, body), expected, "{body}");
        }
        assert_eq!(running("text/plain", r#"{"status":"running"}"#), None);
        let long = format!(r#"{{"status":"running","x":"{}"}}"#, "x".repeat(LIMIT));
        assert_eq!(running(json, &long), None);
    }
}
