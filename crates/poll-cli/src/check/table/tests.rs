use std::{collections::BTreeSet, fs, path::Path};

use super::*;

/// Reads the numbers of the requirements for servers.
fn required() -> BTreeSet<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/protocol.md");
    let document = fs::read_to_string(path).unwrap();
    let numbers = document.lines().filter_map(|line| {
        let (number, _) = line.strip_prefix("**")?.split_once("**")?;
        let (section, _) = number.split_once('.')?;
        matches!(section, "1" | "2" | "3" | "6").then(|| number.to_owned())
    });
    numbers.collect()
}

#[test]
fn every_requirement_for_servers_is_checked_or_not_observable() {
    let numbers = CHECKS.iter().map(|check| check.number.to_string());
    assert_eq!(numbers.collect::<BTreeSet<_>>(), required());
    assert!(required().len() >= 52, "{:?}", required());
    let sorted = CHECKS.is_sorted_by(|one, other| one.number < other.number);
    assert!(sorted, "in the order of the document, and each once");
}

#[test]
fn all_scenarios_together_keep_to_the_limit_of_submissions() {
    let others: u32 = Scenario::ALL
        .iter()
        .map(|scenario| scenario.submissions())
        .sum();
    assert_eq!(1 + others, 12);
}
