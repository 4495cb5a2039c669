//! Lists the public names of a crate from rustdoc's JSON: `public-names FILE`.
//!
//! A trait that a type implements takes one line, without the methods, which
//! the trait lists. The lines of `Send`, `Sync` and `Unpin` stand only where a
//! type lacks them or has them on a condition. The `Unpin` that pin-project-lite
//! generates is left out: its condition names private items of that crate.

use anyhow::Context;
use public_api::Builder;

/// Traits that the compiler implements and that no user names.
const HIDDEN: [&str; 5] = [
    "core::marker::Freeze",
    "core::marker::StructuralPartialEq",
    "core::marker::UnsafeUnpin",
    "core::panic::unwind_safe::RefUnwindSafe",
    "core::panic::unwind_safe::UnwindSafe",
];

/// Part of the condition in an implementation of pin-project-lite.
const GENERATED: &str = "pin_project_lite::__private";

/// Traits that most types have.
const USUAL: [&str; 3] = [
    "core::marker::Send",
    "core::marker::Sync",
    "core::marker::Unpin",
];

fn main() -> anyhow::Result<()> {
    let file = std::env::args().nth(1);
    let file = file.context("usage: public-names FILE")?;
    let api = Builder::from_rustdoc_json(file)
        .omit_blanket_impls(true)
        .build()?;
    // The type whose implementation of a trait is being listed.
    let mut implementing = None;
    for item in api.items() {
        let line = item.to_string();
        if let Some((what, of)) = implementation(&line) {
            let (of, condition) = of.split_once(" where ").unwrap_or((of, ""));
            implementing = Some(format!("fn {of}::"));
            let what = what.rsplit(' ').next().unwrap_or(what);
            let is_hidden = HIDDEN.contains(&what.trim_start_matches('!'));
            let is_usual = USUAL.contains(&what) && condition.is_empty();
            if is_hidden || is_usual || condition.contains(GENERATED) {
                continue;
            }
        } else if let Some(method) = &implementing {
            if line.contains(method) {
                continue;
            }
            if !line.starts_with("pub type ") && !line.starts_with("pub const ") {
                implementing = None;
            }
        }
        println!("{line}");
    }
    Ok(())
}

/// Splits a line that says that a type implements a trait.
fn implementation(line: &str) -> Option<(&str, &str)> {
    line.starts_with("impl").then(|| line.split_once(" for "))?
}
