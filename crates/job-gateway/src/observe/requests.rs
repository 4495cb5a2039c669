//! The lines of the log for requests, of the form that all lines have.
//!
//! They are the most frequent ones by far, so they take no detour by the subscriber, which costs as
//! much as everything else that the gateway does for a request.

use std::{
    cell::RefCell,
    fmt::Write as _,
    io::{self, Write as _},
    net::IpAddr,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use tower_async_job::store::JobHandle;

use crate::text::{push_address, push_decimal, push_hexadecimal};

/// The room for a line of usual length, in bytes.
const LINE: usize = 512;

thread_local! {
    static WRITTEN: RefCell<String> = const { RefCell::new(String::new()) };
}

/// A request that was answered, as the log has it.
pub(crate) struct Line<'a> {
    pub(crate) method: &'a str,
    pub(crate) path: &'a str,
    pub(crate) route: &'a str,
    pub(crate) status: Option<u16>,
    pub(crate) duration: Duration,
    pub(crate) handle: Option<JobHandle>,
    pub(crate) client: Option<IpAddr>,
}

impl Line<'_> {
    /// Writes the line.
    pub(crate) fn write(&self) {
        WRITTEN.with_borrow_mut(|text| {
            self.push(text, SystemTime::now());
            // There is no other place for an error of the log.
            let _ = io::stderr().write_all(text.as_bytes());
            text.clear();
            text.shrink_to(LINE);
        });
    }

    fn push(&self, text: &mut String, now: SystemTime) {
        text.reserve(LINE);
        text.push_str("{\"timestamp\":\"");
        // No time before 1970 has a form.
        let time = humantime::format_rfc3339_micros(now.max(UNIX_EPOCH));
        // A string takes all that is written.
        let _ = write!(text, "{time}");
        text.push_str("\",\"level\":\"INFO\",\"message\":\"request\",\"method\":");
        push_quoted(text, self.method);
        text.push_str(",\"path\":");
        push_quoted(text, self.path);
        text.push_str(",\"route\":");
        push_quoted(text, self.route);
        if let Some(status) = self.status {
            text.push_str(",\"status\":");
            push_decimal(text, status.into(), 1);
        }
        text.push_str(",\"seconds\":");
        push_decimal(text, self.duration.as_secs(), 1);
        text.push('.');
        push_decimal(text, self.duration.subsec_micros().into(), 6);
        if let Some(handle) = self.handle {
            text.push_str(",\"handle\":\"");
            push_hexadecimal(text, handle.to_bits().into(), 16);
            text.push('"');
        }
        if let Some(client) = self.client {
            text.push_str(",\"client\":\"");
            push_address(text, client);
            text.push('"');
        }
        text.push_str(",\"target\":\"job_gateway::requests\"}\n");
    }
}

/// Appends a string of JSON.
fn push_quoted(text: &mut String, value: &str) {
    let is_plain = |byte: u8| (0x20..0x7f).contains(&byte) && byte != b'"' && byte != b'\\';
    if value.bytes().all(is_plain) {
        text.push('"');
        text.push_str(value);
        text.push('"');
        return;
    }
    // A text is always written.
    text.push_str(&serde_json::to_string(value).unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn written(line: &Line<'_>, seconds: u64) -> Value {
        let mut text = String::new();
        line.push(
            &mut text,
            UNIX_EPOCH + Duration::from_micros(seconds * 1_000_000 + 42),
        );
        assert!(text.ends_with("}\n"));
        serde_json::from_str(&text).unwrap()
    }

    const LINE: Line<'_> = Line {
        method: "GET",
        path: "/a",
        route: "default",
        status: Some(200),
        duration: Duration::from_micros(12_000_345),
        handle: None,
        client: None,
    };

    #[test]
    fn a_line_is_json() {
        let line = Line {
            path: "/\"quoted\\\"/…\u{7f}\u{1}",
            handle: Some(JobHandle::from_bits(0x9f2c)),
            client: Some("192.0.2.1".parse().unwrap()),
            ..LINE
        };
        let expected = json!({
            "timestamp": "2026-11-26T17:00:00.000042Z",
            "level": "INFO",
            "message": "request",
            "method": "GET",
            "path": "/\"quoted\\\"/…\u{7f}\u{1}",
            "route": "default",
            "status": 200,
            "seconds": 12.000345,
            "handle": "0000000000009f2c",
            "client": "192.0.2.1",
            "target": "job_gateway::requests",
        });
        assert_eq!(written(&line, 1_795_712_400), expected);
    }

    #[test]
    fn a_handle_and_a_client_may_be_unknown() {
        let line = written(&LINE, 0);
        assert!(line.get("handle").is_none() && line.get("client").is_none());
    }

    #[test]
    fn leap_days_are_dates() {
        for (seconds, date) in [
            (0, "1970-01-01"),
            (951_782_400, "2000-02-29"),
            (951_868_800, "2000-03-01"),
            (1_709_164_800, "2024-02-29"),
            (1_735_603_200, "2024-12-31"),
            (4_107_542_400, "2100-03-01"),
        ] {
            let line = written(&LINE, seconds);
            assert_eq!(line["timestamp"], format!("{date}T00:00:00.000042Z"));
        }
    }
}
