//! Runs the example and reads what it prints.

use std::process::Command;

#[test]
fn slow_calls_come_through_polls_and_streams_do_not() {
    let output = Command::new(env!("CARGO_BIN_EXE_tonic-greeter"))
        .output()
        .unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );

    assert!(polls(&printed, r#"unary: "Hello, Ada!""#) >= 1, "{printed}");
    assert!(
        printed.contains(r#"server streaming: "Salut, Grace!""#),
        "{printed}"
    );
    assert_eq!(polls(&printed, "server streaming"), 0, "{printed}");
    assert!(
        printed.contains(r#"bidirectional: "Hello, Edsger!""#),
        "{printed}"
    );
    assert_eq!(polls(&printed, "bidirectional"), 0, "{printed}");
    let failing = r#"failing: FailedPrecondition, "not on speaking terms with Bertrand""#;
    assert!(polls(&printed, failing) >= 1, "{printed}");
}

/// Returns the number of polls in the line that starts with `call`.
fn polls(printed: &str, call: &str) -> u32 {
    let line = printed
        .lines()
        .find(|line| line.starts_with(call) && line.contains("after"))
        .unwrap_or_else(|| panic!("no count for {call}: {printed}"));
    line.split_whitespace()
        .rev()
        .nth(1)
        .unwrap()
        .parse()
        .unwrap()
}
