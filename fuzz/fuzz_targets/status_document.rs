//! Status documents.
#![no_main]

use http_polling::StatusDocument;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(document) = StatusDocument::from_json(bytes) else {
        return;
    };
    let written = document.to_json();
    let again = StatusDocument::from_json(&written).expect("what was written is read");
    assert_eq!(again.id, document.id);
    assert_eq!(again.state, document.state);
    assert_eq!(again.attempt, document.attempt);
    assert_eq!(again.retry_after(), document.retry_after());
    assert_eq!(again.metadata, document.metadata);
    if let Some(ratio) = document
        .progress
        .as_ref()
        .and_then(|progress| progress.ratio())
    {
        assert!((0.0..=1.0).contains(&ratio));
    }
});
