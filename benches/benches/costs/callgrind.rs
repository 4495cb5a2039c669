//! Instructions by callgrind, with nothing but valgrind itself: by an option, it collects only within
//! the function of a given name.
//!
//! The crates for it need more. Those that speak valgrind's client requests (`crabgrind`, `gungraun`
//! with its requests) build a C shim and need libclang; `gungraun` and `iai-callgrind` besides need
//! a runner installed by hand in the very same version.

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

/// Why there are no counts.
pub(crate) enum Error {
    /// There is no valgrind.
    Missing,
    /// It failed, or said what was not expected.
    Failed(String),
}

/// Instructions per iteration of every case. The profiles stay in `profiles`, one each.
pub(crate) fn count(
    program: &str,
    iterations: u64,
    profiles: &Path,
) -> Result<BTreeMap<&'static str, f64>, Error> {
    fs::create_dir_all(profiles).map_err(failed)?;
    let entries = entries();
    // Counts do not depend on what else the machine does, so two at a time.
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
        // What malloc and free take then hardly depends on what the heap has been through.
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
