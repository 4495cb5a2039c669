use std::time::UNIX_EPOCH;

use serde_json::json;

use super::*;

fn full() -> StatusDocument {
    let at = |seconds| Some(UNIX_EPOCH + Duration::from_secs(seconds));
    StatusDocument {
        created: at(1_000),
        started: at(1_001),
        ended: at(1_002),
        attempt: 2,
        retry_after_ms: Some(1_500),
        progress: Some(Progress::of(1, 2)),
        partial: Some(json!(["a"])),
        metadata: json!({"region": "north"}).as_object().cloned(),
        ..StatusDocument::new("8f14", JobState::TimedOut)
    }
}

#[test]
fn all_members_are_written_by_their_names() {
    let written: Value = serde_json::from_slice(&full().to_json()).unwrap();
    assert_eq!(
        written,
        json!({
            "id": "8f14",
            "state": "timed-out",
            "created": "1970-01-01T00:16:40.000Z",
            "started": "1970-01-01T00:16:41.000Z",
            "ended": "1970-01-01T00:16:42.000Z",
            "attempt": 2,
            "retry_after_ms": 1500,
            "progress": {"fraction": 0.5, "done": 1, "total": 2},
            "partial": ["a"],
            "metadata": {"region": "north"},
        })
    );
}

#[test]
fn a_document_reads_back() {
    assert_eq!(
        StatusDocument::from_json(&full().to_json()).unwrap(),
        full()
    );
}

#[test]
fn unknown_members_are_ignored_and_absent_ones_absent() {
    let read = StatusDocument::from_json(br#"{"novel":{},"state":"lost","id":"x"}"#).unwrap();
    assert_eq!(read, StatusDocument::new("x", JobState::Lost));
}

#[test]
fn what_is_no_status_document_is_refused() {
    for json in [
        &b""[..],
        b"[]",
        b"{}",
        b"{\"id\":\"x\"}",
        b"{\"id\":\"x\",\"state\":\"paused\"}",
        b"\xff",
    ] {
        let error = StatusDocument::from_json(json).unwrap_err();
        assert!(std::error::Error::source(&error).is_some());
    }
}

#[test]
fn the_delay_is_rounded_up() {
    let document =
        StatusDocument::new("x", JobState::Queued).with_retry_after(Duration::from_micros(1_001));
    assert_eq!(document.retry_after(), Some(Duration::from_millis(2)));
}

#[test]
fn what_is_written_is_what_serde_would_write() {
    let queued = StatusDocument::new("a \"quoted\" é\n", JobState::Queued);
    let waiting = StatusDocument::new("", JobState::Running).with_retry_after(Duration::MAX);
    for document in [full(), queued, waiting] {
        let expected = serde_json::to_vec(&document).unwrap();
        assert_eq!(document.to_json(), expected);
    }
}

#[test]
fn c30_byte_order_mark_is_skipped() {
    let read = StatusDocument::from_json(b"\xef\xbb\xbf{\"id\":\"8f14\",\"state\":\"done\"}");
    assert_eq!(read.unwrap(), StatusDocument::new("8f14", JobState::Done));
}
