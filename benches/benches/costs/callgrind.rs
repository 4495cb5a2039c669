//! Instruction counts by callgrind, which an option limits to the function of a given name.
//!
//! This needs only valgrind. The existing crates need more: those that use valgrind's client requests
//! (`crabgrind`, `gungraun`) build a C shim and need libclang, and `gungraun` and `iai-callgrind` need a
//! runner of the same version, which the user installs.

use std::{
    collections::BTreeMap,
    fs,
    io::{self, ErrorKind},
    path::Path,
    process::{Command, Stdio},
    thread,
};

use benches::{Entry, entries};

/// The function whose instructions are counted.
const REGION: &str = "under_measurement::counted_region";

/// The reason that there are no counts.
pub(crate) enum Error {
    /// Valgrind is not installed.
    Missing,
    /// Valgrind failed, or its output was unexpected.
    Failed(String),
}

/// Counts the instructions per iteration of every case. Leaves a profile of each in `profiles`.
pub(crate) fn count(
    program: &str,
    iterations: u64,
    profiles: &Path,
) -> Result<BTreeMap<&'static str, f64>, Error> {
    fs::create_dir_all(profiles).map_err(failed)?;
    let entries = entries();
    // Counts do not depend on the load of the machine, so that two runs are concurrent.
    let (some, others) = entries.split_at(entries.len() / 2);
    let count = |entries: &[Entry]| -> Result<Vec<_>, Error> {
        entries
            .iter()
            .map(|entry| {
                let name = entry.name.replace(['/', ' '], "-").replace(',', "");
                let total = count_one(program, entry.name, iterations, &profiles.join(name))?;
                Ok((entry.name, total as f64 / iterations as f64))
            })
            .collect()
    };
    thread::scope(|scope| {
        let others = scope.spawn(|| count(others));
        let mut counts = count(some)?;
        counts.extend(others.join().expect("counting does not panic")?);
        Ok(counts.into_iter().collect())
    })
}

fn count_one(program: &str, case: &str, iterations: u64, profile: &Path) -> Result<u64, Error> {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--collect-atstart=no"])
        .arg(format!("--toggle-collect={REGION}"))
        .arg(format!("--callgrind-out-file={}", profile.display()))
        .args([program, "count", case, &iterations.to_string()])
        // The cost of malloc and free then hardly depends on earlier allocations.
        .env(
            "GLIBC_TUNABLES",
            "glibc.malloc.tcache_max=8192:glibc.malloc.tcache_count=64",
        )
        .stdin(Stdio::null())
        .output()
        .map_err(|error| match error.kind() {
            ErrorKind::NotFound => Error::Missing,
            _ => failed(error),
        })?;
    if !output.status.success() {
        let reason = String::from_utf8_lossy(&output.stderr);
        return Err(Error::Failed(format!("{case}: {reason}")));
    }
    let text = fs::read_to_string(profile).map_err(failed)?;
    match total(&text) {
        Some(total) if total > 0 => Ok(total),
        _ => Err(Error::Failed(format!("{case}: nothing was counted"))),
    }
}

fn failed(error: io::Error) -> Error {
    Error::Failed(error.to_string())
}

fn total(profile: &str) -> Option<u64> {
    let totals = profile
        .lines()
        .find_map(|line| line.strip_prefix("totals:"))?;
    totals.trim().parse().ok()
}
