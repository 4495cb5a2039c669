//! Job ids.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tower_async_job_core::{JobHandle, JobId};

fuzz_target!(|text: &str| {
    if let Ok(id) = text.parse::<JobId>() {
        assert_eq!(id.encode().as_str(), text);
        assert_eq!(JobId::from_bits(id.to_bits()), id);
        assert!(!format!("{id:?}").contains(text));
    }
    if let Ok(handle) = text.parse::<JobHandle>() {
        assert_eq!(handle.to_string().parse::<JobHandle>().ok(), Some(handle));
    }
});
