//! Times as ratios of cases to their peers. Absolute times are not reliable on a shared machine.

use std::process::Command;

const RACES: [(&str, &str); 14] = [
    ("client/poll/0", "client/timeout/0"),
    ("client/poll/0", "client/retry/0"),
    ("client/poll/0", "client/redirect/0"),
    ("client/poll/8", "client/timeout/8"),
    ("client/poll/8", "client/retry/8"),
    ("client/poll/8", "client/redirect/8"),
    ("client/poll hop/2", "client/redirect hop/2"),
    ("server/inline/8", "server/bare/8"),
    ("connection/inline POST", "connection/axum POST"),
    (
        "connection/job pending",
        "connection/axum route, same answer",
    ),
    (
        "connection/job pending",
        "connection/fair hand-written pending",
    ),
    ("connection/job done", "connection/axum route"),
    ("connection/job done", "connection/hand-written done"),
    (
        "connection/job submission",
        "connection/fair hand-written submission",
    ),
];

pub(crate) fn markdown(program: &str) -> String {
    let mut text =
        String::from("| case | peer | ns | ns of the peer | ratio |\n|---|---|---:|---:|---:|\n");
    for (case, peer) in RACES {
        let output = Command::new(program)
            .args(["race", case, peer])
            .output()
            .expect("the binary beside this one runs");
        let output = String::from_utf8_lossy(&output.stdout);
        let numbers: Vec<f64> = output
            .split_whitespace()
            .filter_map(|number| number.parse().ok())
            .collect();
        let [own, of_peer, ratio] = numbers[..] else {
            panic!("{case} against {peer}: {output:?}");
        };
        text.push_str(&format!(
            "| {case} | {peer} | {own:.0} | {of_peer:.0} | {ratio:.2} |\n"
        ));
    }
    text
}
