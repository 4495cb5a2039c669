//! The serde form of jobs that are resumed later.
#![no_main]

use http::Uri;
use http_polling_fuzz::is_pollable;
use libfuzzer_sys::fuzz_target;
use serde_json::{Value, from_slice, from_value, json, to_value};
use tower_poll::PendingJob;

/// The members that are URLs.
const URLS: [&str; 7] = [
    "/url",
    "/origin",
    "/dialect/submission",
    "/dialect/location",
    "/dialect/content_location",
    "/dialect/operation_location",
    "/dialect/azure_async_operation",
];

fuzz_target!(|bytes: &[u8]| {
    let Ok(job) = from_slice::<PendingJob>(bytes) else {
        return;
    };
    assert!(is_pollable(job.url()), "{}", job.url());
    assert!(!format!("{job:?}").is_empty());

    let written = to_value(&job).expect("a job is written");
    assert_eq!(written["version"], 1);
    assert_eq!(written["url"], job.url().to_string());
    for member in URLS {
        let Some(Value::String(url)) = written.pointer(member) else {
            continue;
        };
        let uri: Uri = url.parse().expect("a URL");
        assert!(is_pollable(&uri), "{member}: {url}");
        for bad in [
            Value::Null,
            json!(""),
            json!("*"),
            json!("//example.com/"),
            json!("https://:/"),
            json!("https://a@example.com/"),
            json!("ftp://example.com/"),
            json!(format!("/{}", "x".repeat(1 << 16))),
        ] {
            // An optional member may be null.
            let is_optional = !matches!(member, "/url" | "/origin" | "/dialect/submission");
            let mut spoilt = written.clone();
            *spoilt.pointer_mut(member).expect("it is there") = bad.clone();
            let is_read = from_value::<PendingJob>(spoilt).is_ok();
            assert_eq!(is_read, is_optional && bad.is_null(), "{member}: {bad}");
        }
    }
    let again: PendingJob = from_value(written.clone()).expect("what was written is read");
    assert_eq!(again.url(), job.url());
    assert_eq!(again.method(), job.method());
    assert_eq!(
        (again.polls(), again.elapsed(), again.due()),
        (job.polls(), job.elapsed(), job.due())
    );
    assert_eq!(
        (again.retry_after(), again.state()),
        (job.retry_after(), job.state())
    );
    assert_eq!(to_value(&again).expect("a job is written"), written);
});
