//! The state of a job in a header.
#![no_main]

use http_polling::{JOB_STATUS, JobState};
use http_polling_fuzz::headers_of;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let headers = headers_of("job-status", bytes);
    let state = JobState::from_headers(&headers);
    if let Some(state) = state {
        assert!(
            headers
                .get_all(JOB_STATUS)
                .iter()
                .all(|value| value == state.as_str())
        );
        assert_eq!(state.as_str().parse(), Ok(state));
        assert_ne!(state.is_pending(), state.is_final());
    } else if let Ok(text) = str::from_utf8(bytes) {
        assert!(text.parse::<JobState>().is_err());
    }
});
