//! Files, and the errors that they have.

use std::{env, fs, path::Path};

use super::{Overrides, file::load};

fn folder() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/config"))
}

/// Compares the errors of each `NAME.toml` with `NAME.txt`. With `UPDATE_EXPECTED=1` in the
/// environment, the messages are written instead.
#[test]
fn each_error_has_its_line_and_a_hint() {
    let mut files: Vec<_> = fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|end| end == "toml"))
        .collect();
    files.sort();
    assert!(files.len() > 10, "{files:?}");
    let mut differences = String::new();
    for file in files {
        let report = load(Some(&file), &Overrides::default()).unwrap_err();
        let folder = folder().display().to_string();
        let found = format!("{report}\n").replace(&format!("{folder}/"), "");
        let expected = file.with_extension("txt");
        if env::var_os("UPDATE_EXPECTED").is_some() {
            fs::write(&expected, &found).unwrap();
        }
        let wanted = fs::read_to_string(&expected).unwrap_or_default();
        if found != wanted {
            differences += &format!(
                "{}\n--- expected\n{wanted}--- found\n{found}",
                file.display()
            );
        }
    }
    assert!(differences.is_empty(), "{differences}");
}

#[test]
fn no_message_has_a_secret() {
    for file in fs::read_dir(folder()).unwrap() {
        let path = file.unwrap().path();
        if path.extension().is_some_and(|end| end == "txt") {
            let message = fs::read_to_string(&path).unwrap();
            assert!(!message.contains("hunter2"), "{}", path.display());
            assert!(!message.contains("aHVudGVy"), "{}", path.display());
        }
    }
}
