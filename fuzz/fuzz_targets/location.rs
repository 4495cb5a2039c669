//! Resolving references.
#![no_main]

use http::Uri;
use http_polling::{MAX_LOCATION, is_downgrade, resolve, same_origin};
use http_polling_fuzz::{Asked, is_pollable};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (Asked, &[u8])| {
    let (asked, reference) = input;
    let Ok(uri) = resolve(&asked.uri, reference) else {
        return;
    };
    let text = uri.to_string();
    assert!(is_pollable(&uri), "{text}");
    assert!(reference.len() <= MAX_LOCATION);
    assert!(uri.authority().is_none() || asked.uri.authority().is_none() || text.contains("://"));
    assert!(
        asked.uri.authority().is_none() || uri.authority().is_some(),
        "{text}"
    );
    assert!(same_origin(&uri, &uri), "{text}");
    assert!(!is_downgrade(&uri, &uri), "{text}");
    assert_eq!(text.parse::<Uri>().ok().as_ref(), Some(&uri));
    if text.len() <= MAX_LOCATION {
        assert_eq!(resolve(&asked.uri, &text).as_ref(), Ok(&uri));
    }
});
