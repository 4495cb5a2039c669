//! Prints what breaks the direction of imports in one crate, and its files in
//! order: `cargo run -p architecture -- CRATE [--edges]`.
//!
//! CRATE is a name in `crates/`, or a path. Each line of the order begins with
//! the file's row; `--edges` adds a line for each import between two files.

use std::{
    env,
    path::{Path, PathBuf},
    process::ExitCode,
};

use architecture::{Sources, check};

fn main() -> anyhow::Result<ExitCode> {
    let (options, names): (Vec<_>, Vec<_>) =
        env::args().skip(1).partition(|word| word.starts_with("--"));
    let [name] = &names[..] else {
        anyhow::bail!("usage: architecture CRATE [--edges]");
    };
    let folder = if name.contains('/') {
        PathBuf::from(name)
    } else {
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../../crates")
            .join(name)
    };
    let mut clean = true;
    for report in check(&Sources::read(&folder)?) {
        println!("row file, each above those that it imports from:");
        for line in &report.order {
            println!("{line}");
        }
        if options.iter().any(|option| option == "--edges") {
            println!("\nimports:");
            report.edges.iter().for_each(|line| println!("{line}"));
        }
        println!("\n{} violations", report.violations.len());
        report.violations.iter().for_each(|text| println!("{text}"));
        clean &= report.violations.is_empty();
    }
    Ok(if clean {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
