//! The cookies that a pending answer sets and that the next poll carries.
#![no_main]

use std::time::Duration;

use http::{HeaderValue, Request, StatusCode, header::COOKIE};
use http_polling_fuzz::{Document, Head, call::run, headers_of};
use libfuzzer_sys::fuzz_target;
use tower_poll::PollLayer;

/// The maximum length of the cookies of one call, with separators.
const MOST: usize = 16 * 1024 + 32 * 3;

fuzz_target!(|bytes: &[u8]| {
    let mut headers = headers_of("set-cookie", bytes);
    headers.insert(
        "location",
        HeaderValue::from_static("https://example.com/a/b"),
    );
    headers.insert("retry-after", HeaderValue::from_static("1"));
    let head = Head {
        status: StatusCode::SEE_OTHER,
        headers,
    };
    let request = Request::post("https://example.com/a/c")
        .body("")
        .expect("a valid request");
    let layer = PollLayer::new().deadline(Duration::from_secs(60));
    let run = run(layer, request, vec![(head, Document::default())]);
    assert_eq!(run.seen.len(), 2, "garbage in cookies ends no call");
    let lines: Vec<_> = run.seen[1].headers.get_all(COOKIE).iter().collect();
    assert!(lines.len() <= 1);
    if let Some(line) = lines.first() {
        assert!(line.is_sensitive() && !line.is_empty() && line.len() <= MOST);
        let pairs = line.as_bytes().split(|byte| *byte == b';');
        assert!(pairs.count() <= 1 + 32 + bytes.iter().filter(|byte| **byte == b';').count());
    }
});
