//! Problem documents.
#![no_main]

use http_polling::Problem;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(problem) = Problem::from_json(bytes) else {
        return;
    };
    let again = Problem::from_json(&problem.to_json()).expect("what was written is read");
    assert_eq!(again.kind, problem.kind);
    assert_eq!(again.title, problem.title);
    assert_eq!(again.status, problem.status);
    assert_eq!(again.detail, problem.detail);
    assert_eq!(again.instance, problem.instance);
    // The decimal forms of numbers may differ in the last digit.
    assert!(again.extensions.keys().eq(problem.extensions.keys()));
    assert!(!format!("{problem}{problem:?}").is_empty() && problem.extensions.len() <= bytes.len());
});
