//! Reading and removing preferences.
#![no_main]

use http_polling::{Prefer, PreferenceApplied};
use http_polling_fuzz::headers_of;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut headers = headers_of("prefer", bytes);
    let before = headers.len();
    let read = Prefer::from_headers(&headers);
    assert_eq!(Prefer::take(&mut headers), read);
    assert!(Prefer::from_headers(&headers).is_empty());
    assert!(headers.len() <= before);
    let left = headers.clone();
    let _ = Prefer::take(&mut headers);
    assert_eq!(headers, left);

    headers.clear();
    read.append_to(&mut headers);
    assert_eq!(Prefer::from_headers(&headers), read);

    let applied = PreferenceApplied::from_headers(&headers_of("preference-applied", bytes));
    assert_eq!(applied.respond_async(), read.respond_async());
    assert_eq!(applied.wait(), read.wait());
    headers.clear();
    applied.append_to(&mut headers);
    assert_eq!(PreferenceApplied::from_headers(&headers), applied);
});
