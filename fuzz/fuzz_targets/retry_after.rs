//! Reading `Retry-After` and related fields.
#![no_main]

use std::time::{Duration, UNIX_EPOCH};

use http_polling::{RetryAfter, retry_after, set_retry_after};
use http_polling_fuzz::{Head, header_value};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (&[u8], Head, u64)| {
    let (bytes, head, millis) = input;
    if let Some(read) = RetryAfter::parse(&header_value(bytes)) {
        assert_eq!(RetryAfter::parse(&read.to_header_value()), Some(read));
    }
    let mut headers = head.headers;
    let now = UNIX_EPOCH + Duration::from_secs(1_800_000_000);
    let _ = retry_after(&headers, now);
    let delay = Duration::from_millis(millis);
    set_retry_after(&mut headers, delay);
    assert_eq!(retry_after(&headers, now), Some(delay));
});
