//! The recorded costs in the repository, and the comparison of a run with them.
//!
//! Allocations are compared directly, and instructions as ratios to those of a peer in the same run.

use std::{collections::BTreeMap, fs, path::PathBuf, process::Command};

use serde::{Deserialize, Serialize};

use crate::Costs;

/// Cases of the layers, each with the peer that it is compared with.
const COMPARED: [(&str, &str); 16] = [
    ("client/poll path/0", "client/bare path/0"),
    ("client/poll/0", "client/bare/0"),
    ("client/poll/8", "client/bare/8"),
    ("client/poll hop/2", "client/redirect hop/2"),
    ("server/matched out/0", "server/bare/0"),
    ("server/matched out/8", "server/bare/8"),
    ("server/inline, no context/0", "server/bare/0"),
    ("server/inline, policy/8", "server/bare/8"),
    ("server/inline/8", "server/bare/8"),
    ("connection/inline POST", "connection/axum POST"),
    (
        "connection/inline POST, Router::layer",
        "connection/axum POST",
    ),
    (
        "connection/job pending",
        "connection/axum route, same answer",
    ),
    (
        "connection/job pending, Router::layer",
        "connection/axum route, same answer",
    ),
    ("connection/job done", "connection/axum route"),
    (
        "connection/job submission",
        "connection/fair hand-written submission",
    ),
    (
        "connection/job submission, Router::layer",
        "connection/fair hand-written submission",
    ),
];

/// The tolerance of a ratio above the recorded one. Ratios repeat within 1 %.
const RATIO_TOLERANCE: f64 = 0.03;

/// The tolerance of an allocation count above the recorded one, since hash tables grow occasionally.
const ALLOCATION_TOLERANCE: f64 = 0.05;

#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Record {
    toolchain: Toolchain,
    /// Instructions of each case to those of its peer.
    ratios: BTreeMap<String, f64>,
    allocations: BTreeMap<String, f64>,
}

/// The programs that the counts depend on.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Toolchain {
    rustc: String,
    libc: String,
    valgrind: String,
}

/// The outcome of a comparison.
pub(crate) enum Comparison {
    AsRecorded,
    /// The toolchain differs from that of the record. Each toolchain needs its own record.
    OtherToolchain(String),
    /// Some cases cost more than recorded.
    Worse(Vec<String>),
}

impl Record {
    /// The record of a run; `None` if instructions were not counted.
    pub(crate) fn of(costs: &Costs) -> Option<Self> {
        let counts = costs.instructions.as_ref()?;
        let ratio =
            |(case, peer): (&str, &str)| (case.to_owned(), rounded(counts[case] / counts[peer]));
        let allocations =
            COMPARED.map(|(case, _)| (case.to_owned(), rounded(costs.allocations[case])));
        Some(Self {
            toolchain: Toolchain::here(),
            ratios: COMPARED.map(ratio).into(),
            allocations: allocations.into(),
        })
    }

    /// The record in the repository.
    pub(crate) fn read() -> Result<Self, String> {
        let text =
            fs::read_to_string(path()).map_err(|error| format!("{}: {error}", path().display()))?;
        serde_json::from_str(&text).map_err(|error| format!("{}: {error}", path().display()))
    }

    /// Writes this record to the repository.
    pub(crate) fn write(&self) -> std::io::Result<()> {
        let text = serde_json::to_string_pretty(self).expect("a record has a JSON form");
        fs::write(path(), text + "\n")
    }

    /// Compares a run with this record.
    pub(crate) fn compare(&self, run: &Self) -> Comparison {
        if self.toolchain != run.toolchain {
            let (recorded, here) = (self.toolchain.text(), run.toolchain.text());
            return Comparison::OtherToolchain(format!("recorded with {recorded}; here is {here}"));
        }
        let ratios = worse(
            "instructions to the peer's",
            &self.ratios,
            &run.ratios,
            |recorded| recorded * (1.0 + RATIO_TOLERANCE),
        );
        let allocations = worse(
            "allocations",
            &self.allocations,
            &run.allocations,
            |recorded| recorded + ALLOCATION_TOLERANCE,
        );
        match [ratios, allocations].concat() {
            worse if worse.is_empty() => Comparison::AsRecorded,
            worse => Comparison::Worse(worse),
        }
    }
}

/// The cases that are above the record, or are not in it.
fn worse(
    what: &str,
    recorded: &BTreeMap<String, f64>,
    run: &BTreeMap<String, f64>,
    most: impl Fn(f64) -> f64,
) -> Vec<String> {
    let verdict = |(case, measured): (&String, &f64)| match recorded.get(case) {
        Some(recorded) if *measured <= most(*recorded) => None,
        Some(recorded) => Some(format!("{case}: {measured} {what}, {recorded} before")),
        None => Some(format!("{case}: {what} are not recorded")),
    };
    let gone = recorded.keys().filter(|case| !run.contains_key(*case));
    let gone = gone.map(|case| format!("{case}: {what} are recorded, and not counted any more"));
    run.iter().filter_map(verdict).chain(gone).collect()
}

impl Toolchain {
    fn here() -> Self {
        Self {
            rustc: said("rustc", "--version"),
            libc: said("ldd", "--version"),
            valgrind: said("valgrind", "--version"),
        }
    }

    pub(crate) fn text(&self) -> String {
        let Self {
            rustc,
            libc,
            valgrind,
        } = self;
        format!("{rustc}, {libc}, {valgrind}")
    }

    /// As a line of Markdown.
    pub(crate) fn markdown() -> String {
        format!("Counted with {}.\n", Self::here().text())
    }
}

/// Returns the first line of a program's version.
fn said(program: &str, option: &str) -> String {
    let output = Command::new(program).arg(option).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    let first = text
        .ok()
        .and_then(|text| text.lines().next().map(str::to_owned));
    first.unwrap_or_else(|| format!("unknown {program}"))
}

fn rounded(value: f64) -> f64 {
    (value * 10_000.0).round() / 10_000.0
}

fn path() -> PathBuf {
    concat!(env!("CARGO_MANIFEST_DIR"), "/costs.json").into()
}
