//! The serde form of jobs that are resumed later.
#![no_main]

use http_polling_fuzz::is_pollable;
use libfuzzer_sys::fuzz_target;
use tower_poll::PendingJob;

fuzz_target!(|bytes: &[u8]| {
    let Ok(job) = serde_json::from_slice::<PendingJob>(bytes) else {
        return;
    };
    assert!(is_pollable(job.url()), "{}", job.url());
    let written = serde_json::to_string(&job).expect("a job is written");
    let again: PendingJob = serde_json::from_str(&written).expect("what was written is read");
    assert_eq!(again.url(), job.url());
    assert_eq!(again.method(), job.method());
    assert_eq!(
        (again.polls(), again.elapsed()),
        (job.polls(), job.elapsed())
    );
    assert_eq!(
        (again.retry_after(), again.state()),
        (job.retry_after(), job.state())
    );
    assert_eq!(
        serde_json::to_string(&again).expect("a job is written"),
        written
    );
});
