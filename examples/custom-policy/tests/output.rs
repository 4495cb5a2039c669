//! Runs the example and reads what it prints.

use std::process::Command;

#[test]
fn the_queued_job_is_polled_and_both_are_answered() {
    let output = Command::new(env!("CARGO_BIN_EXE_custom-policy"))
        .output()
        .unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );

    assert!(
        printed.contains("poll 1 of a job that was queued"),
        "{printed}"
    );
    assert!(
        printed.contains("poll 1 of a job that was running"),
        "{printed}"
    );
    assert_eq!(printed.matches("answer: a report").count(), 2, "{printed}");
}
