//! Distinguishing pending answers from final ones.
#![no_main]

use std::time::{Duration, UNIX_EPOCH};

use http::Method;
use http_polling::{Exchange, JobState, Reading, retry_after};
use http_polling_fuzz::{Asked, Head, is_pollable};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (Asked, Head, bool)| {
    let (asked, head, polling) = input;
    let now = UNIX_EPOCH + Duration::from_secs(1_800_000_000);
    let exchange = Exchange::new(&asked.method, &asked.uri).polling(polling);
    let state = JobState::from_headers(&head.headers);
    match exchange.read(head.status, &head.headers, now) {
        Ok(Reading::Pending(pending)) => {
            assert!(is_pollable(&pending.uri) || pending.uri == asked.uri);
            assert_eq!(pending.method == Method::HEAD, asked.method == Method::HEAD);
            assert!(matches!(pending.method, Method::GET | Method::HEAD));
            assert_eq!(pending.retry_after, retry_after(&head.headers, now));
            assert_eq!(pending.state, state);
            assert!(state.is_none_or(JobState::is_pending));
        }
        Ok(reading) => {
            assert_eq!(reading, Reading::Final(state));
            assert!(state.is_none_or(JobState::is_final));
        }
        Err(_) => assert!(state.is_none_or(JobState::is_pending)),
    }
});
