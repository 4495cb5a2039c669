//! Runs the example and reads what it prints.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
    time::{Duration, Instant},
};

fn quickstart() -> Command {
    Command::new(env!("CARGO_BIN_EXE_quickstart"))
}

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
}

/// Compresses a file into another one.
fn compress(file: &Path, saved: &Path) -> Output {
    let mut command = quickstart();
    command.arg(file).arg("--output").arg(saved);
    command.output().unwrap()
}

#[track_caller]
fn printed(output: &Output) -> String {
    let printed = String::from_utf8(output.stdout.clone()).unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{printed}\n{errors}");
    assert!(printed.contains("the same as the input"), "{printed}");
    printed
}

/// Returns the lines of the exchanges.
fn timeline(printed: &str) -> Vec<&str> {
    let lines = printed.lines();
    lines
        .skip_while(|line| !line.contains("Job-Status"))
        .skip(1)
        .collect()
}

#[test]
fn without_a_file_five_seconds_of_work_are_polled_and_nothing_is_written() {
    let directory = tempfile::tempdir().unwrap();
    let began = Instant::now();
    let output = quickstart()
        .current_dir(&directory)
        .env("TMPDIR", directory.path())
        .output()
        .unwrap();
    let took = began.elapsed();
    let printed = printed(&output);
    assert!(took >= Duration::from_secs(5), "{took:?}");
    assert_eq!(fs::read_dir(&directory).unwrap().count(), 0);

    let timeline = timeline(&printed);
    let (first, last) = (timeline.first().unwrap(), timeline.last().unwrap());
    assert!(first.contains("POST") && first.contains("303"), "{printed}");
    assert!(
        first.contains("running") && first.contains("/work/"),
        "{printed}"
    );
    assert!(timeline.len() >= 4, "{printed}");
    assert!(last.contains("GET") && last.contains("200"), "{printed}");
    assert!(last.contains("done"), "{printed}");
    // Standard error is not a terminal, so that progress is printed in lines.
    let progress = String::from_utf8_lossy(&output.stderr);
    let with_progress = |line: &&str| line.starts_with("running, ") && line.contains('%');
    assert!(
        progress.lines().filter(with_progress).count() >= 3,
        "{progress}"
    );
}

#[test]
fn a_file_is_compressed_and_saved() {
    let (file, saved) = (path("text"), path("text.xz"));
    fs::write(&file, "once upon a time, ".repeat(1000)).unwrap();
    let output = compress(&file, &saved);
    let printed = printed(&output);
    assert!(printed.contains(saved.to_str().unwrap()), "{printed}");
    assert!(fs::read(&saved).unwrap().starts_with(b"\xfd7zXZ\0"));
    assert!(timeline(&printed)[0].contains("303"), "{printed}");
}

#[test]
fn an_empty_file_comes_back_as_it_is() {
    let (file, saved) = (path("empty"), path("empty.xz"));
    fs::write(&file, "").unwrap();
    let output = compress(&file, &saved);
    printed(&output);
}

#[test]
fn a_result_is_not_put_in_place_of_another_file_unasked() {
    let directory = path("occupied");
    fs::create_dir_all(&directory).unwrap();
    fs::write(directory.join("file"), "new").unwrap();
    fs::write(directory.join("file.xz"), "old").unwrap();
    let output = quickstart()
        .current_dir(&directory)
        .arg("file")
        .output()
        .unwrap();
    assert!(!output.status.success());
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(error.contains("file.xz is there already"), "{error}");
    assert_eq!(fs::read(directory.join("file.xz")).unwrap(), b"old");
}

#[test]
fn a_missing_file_is_named() {
    let output = quickstart().arg("no/such/file").output().unwrap();
    assert!(!output.status.success());
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(error.contains("cannot read no/such/file"), "{error}");
}

#[test]
fn an_output_that_cannot_be_written_is_refused_before_the_work() {
    for (output, reason) in [
        ("nowhere/out.xz", "its directory does not exist"),
        ("", "it is a directory"),
    ] {
        let ended = quickstart()
            .arg("--output")
            .arg(path(output))
            .output()
            .unwrap();
        let errors = String::from_utf8_lossy(&ended.stderr);
        assert!(!ended.status.success(), "{errors}");
        assert!(errors.contains(reason), "{errors}");
        assert!(!errors.contains("running"), "{errors}");
    }
}
