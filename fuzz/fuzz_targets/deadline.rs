//! The deadlines that callers set: `cancel-after` and `grpc-timeout`.
#![no_main]

use std::time::Duration;

use http_polling::{cancel_after, grpc_timeout};
use http_polling_fuzz::headers_of;
use libfuzzer_sys::fuzz_target;

/// 99,999,999 hours.
const LONGEST: Duration = Duration::from_secs(99_999_999 * 60 * 60);

fuzz_target!(|bytes: &[u8]| {
    if let Some(timeout) = grpc_timeout(bytes) {
        assert!(timeout <= LONGEST && bytes.len() <= 9);
    }
    let headers = headers_of("cancel-after", bytes);
    let read = cancel_after(&headers);
    assert!(headers.len() == 1 || read.is_err());
    if let Ok(Some(delay)) = read {
        let seconds = headers_of("cancel-after", delay.as_secs().to_string().as_bytes());
        assert_eq!(
            cancel_after(&seconds),
            Ok(Some(Duration::from_secs(delay.as_secs())))
        );
    }
});
