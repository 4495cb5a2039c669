//! Downloads that are continued after a break.

use std::{
    fs,
    path::{Path, PathBuf},
};

use http::Method;
use serde_json::Value;

use crate::{
    poll::{Ran, poll, run},
    raw::Raw,
    server::{Answer, Seen, Server, pending, response, with},
};

const RESULT: &str = "0123456789";

/// The result of the job.
const WHOLE: [(&str, &str); 2] = [("job-status", "done"), ("etag", "\"a\"")];

/// A file that does not exist yet, in a directory of its own.
struct Place {
    directory: tempfile::TempDir,
    file: PathBuf,
}

impl Place {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("answer");
        Self { directory, file }
    }

    fn path(&self) -> &str {
        self.file.to_str().unwrap()
    }

    fn part(&self) -> Option<String> {
        fs::read_to_string(self.directory.path().join("answer.part")).ok()
    }

    fn description(&self) -> PathBuf {
        self.directory.path().join("answer.part.json")
    }

    /// Asserts that the file is complete, and alone.
    #[track_caller]
    fn has(&self, result: &str) {
        assert_eq!(fs::read_to_string(&self.file).unwrap(), result);
        assert_eq!(fs::read_dir(self.directory.path()).unwrap().count(), 1);
    }

    /// Runs the command, which submits if there is no part of the result.
    async fn run(&self, server: &Server, more: &[&str]) -> Ran {
        let url = server.url("/");
        let arguments = ["-d", "x", "--continue", "-o", self.path(), &url];
        poll(&[&arguments[..], more].concat()).await
    }
}

/// Answers with the part of the result that the request asks for.
fn part(seen: &Seen) -> Answer {
    let Some(range) = seen.headers.get("range") else {
        return with(200, &WHOLE, RESULT);
    };
    assert_eq!(seen.headers["if-range"], "\"a\"");
    let first = range.to_str().unwrap();
    let first = first.strip_prefix("bytes=").unwrap();
    let first: usize = first.strip_suffix('-').unwrap().parse().unwrap();
    if first >= RESULT.len() {
        let range = ("content-range", "bytes */10");
        return with(416, &[WHOLE[0], range], "no such part");
    }
    let range = format!("bytes {first}-9/10");
    with(
        206,
        &[WHOLE[0], WHOLE[1], ("content-range", &range)],
        &RESULT[first..],
    )
}

/// Answers with the whole result, and breaks off after some bytes.
fn cut(bytes: usize) -> Answer {
    let length = [WHOLE[0], WHOLE[1], ("content-length", "10")];
    Answer::Truncated(response(200, &length, &RESULT[..bytes]))
}

/// Starts a server whose job ends with a result, which breaks off the first time.
async fn breaking(then: impl Fn(usize, &Seen) -> Answer + Send + Sync + 'static) -> Server {
    Server::start(move |number, seen| match number {
        0 => pending("/work/1"),
        number => then(number, seen),
    })
    .await
}

/// Starts a server that breaks off after some bytes of the first result.
async fn cut_first(bytes: usize, then: impl Fn(&Seen) -> Answer + Send + Sync + 'static) -> Server {
    breaking(move |number, seen| match number {
        1 => cut(bytes),
        _ => then(seen),
    })
    .await
}

#[tokio::test]
async fn download_that_breaks_off_goes_on_by_itself_wherever_it_broke() {
    for bytes in [0, 1, 5, 9] {
        let server = cut_first(bytes, part).await;
        let place = Place::new();
        let ran = place
            .run(&server, &["-H", "X-Api-Key: k"])
            .await
            .exits_with(0);
        place.has(RESULT);
        assert_eq!(ran.stdout, "");
        let seen = server.seen();
        assert_eq!(server.lines(), ["POST /", "GET /work/1", "GET /work/1"]);
        let range = seen[2]
            .headers
            .get("range")
            .map(|range| range.to_str().unwrap());
        let expected = format!("bytes={bytes}-");
        assert_eq!(range, (bytes > 0).then_some(&*expected));
        assert_eq!(seen[2].headers["x-api-key"], "k");
    }
}

#[tokio::test]
async fn later_call_goes_on_without_a_submission() {
    for bytes in [0, 1, 5, 9] {
        let server = cut_first(bytes, part).await;
        let place = Place::new();
        fs::write(&place.file, "old").unwrap();
        let ran = place.run(&server, &["--poll-retries", "0"]).await;
        // A break with some bytes is followed by another request in any case.
        let goes_on = bytes > 0;
        assert_eq!(ran.code, if goes_on { 0 } else { 18 }, "{ran:?}");
        if !goes_on {
            assert_eq!(fs::read_to_string(&place.file).unwrap(), "old");
            assert_eq!(place.part().as_deref(), Some(""));
            assert!(
                ran.stderr.contains("answer.part keeps the first 0 bytes"),
                "{ran:?}"
            );
            place.run(&server, &[]).await.exits_with(0);
        }
        place.has(RESULT);
        let posts = server
            .seen()
            .iter()
            .filter(|seen| seen.method == Method::POST)
            .count();
        assert_eq!(posts, 1);
    }
}

/// Leaves some bytes of an earlier call, whose server then went away.
async fn interrupted(place: &Place, server: &Server, bytes: &str) {
    let ran = place.run(server, &["--poll-retries", "0"]).await;
    assert_ne!(ran.code, 0, "{ran:?}");
    let part = place.directory.path().join("answer.part");
    fs::write(part, bytes).unwrap();
}

#[tokio::test]
async fn part_of_an_earlier_call_is_completed_whatever_its_length() {
    for (bytes, requests) in [
        ("", 3),
        ("0", 3),
        ("012345678", 3),
        (RESULT, 3),
        ("0123456789ab", 4),
    ] {
        let server = cut_first(0, part).await;
        let place = Place::new();
        interrupted(&place, &server, bytes).await;
        place.run(&server, &[]).await.exits_with(0);
        place.has(RESULT);
        assert_eq!(server.lines().len(), requests, "{bytes}");
    }
}

#[tokio::test]
async fn result_that_has_changed_starts_over() {
    // The server takes the validator into account, or ranges are ignored altogether.
    let whole = cut_first(0, |_| with(200, &[("etag", "\"b\"")], "abc")).await;
    let place = Place::new();
    interrupted(&place, &whole, "0123").await;
    let ran = place.run(&whole, &[]).await.exits_with(0);
    assert!(ran.stderr.contains("starts over"), "{ran:?}");
    place.has("abc");
    // The server ignores the validator.
    let mixed = cut_first(0, |seen| match seen.headers.contains_key("range") {
        true => with(
            206,
            &[("etag", "\"b\""), ("content-range", "bytes 4-5/6")],
            "ef",
        ),
        false => with(200, &[("etag", "\"b\"")], "abcdef"),
    });
    let mixed = mixed.await;
    let place = Place::new();
    interrupted(&place, &mixed, "0123").await;
    place.run(&mixed, &[]).await.exits_with(0);
    place.has("abcdef");
}

#[tokio::test]
async fn another_part_than_was_asked_for_is_33_and_the_part_is_kept() {
    for range in ["bytes 0-9/10", "bytes 5-9/10", "bytes 4-9/11", "nonsense"] {
        let server = cut_first(0, move |_| with(206, &[("content-range", range)], "456789"));
        let server = server.await;
        let place = Place::new();
        interrupted(&place, &server, "0123").await;
        let ran = place.run(&server, &[]).await.exits_with(33);
        assert!(ran.stderr.contains("keeps the first 4 bytes"), "{ran:?}");
        assert_eq!(place.part().as_deref(), Some("0123"));
        assert!(!place.file.exists());
    }
}

#[tokio::test]
async fn more_bytes_than_the_result_has_are_no_result() {
    let server = cut_first(0, |_| {
        with(206, &[("content-range", "bytes 4-9/10")], "456789ab")
    });
    let server = server.await;
    let place = Place::new();
    interrupted(&place, &server, "0123").await;
    place.run(&server, &[]).await.exits_with(33);
    assert!(!place.file.exists());
}

#[tokio::test]
async fn parts_that_the_server_limits_are_put_together() {
    let server = cut_first(0, |seen| match seen.headers["range"].to_str().unwrap() {
        "bytes=4-" => with(206, &[("content-range", "bytes 4-6/10")], "456"),
        range => {
            assert_eq!(range, "bytes=7-");
            with(206, &[("content-range", "bytes 7-9/10")], "789")
        }
    });
    let server = server.await;
    let place = Place::new();
    interrupted(&place, &server, "0123").await;
    place.run(&server, &[]).await.exits_with(0);
    place.has(RESULT);
}

#[tokio::test]
async fn part_without_the_length_of_the_whole_is_not_taken_for_its_end() {
    let server = cut_first(0, |seen| match seen.headers["range"].to_str().unwrap() {
        "bytes=4-" => with(206, &[("content-range", "bytes 4-6/*")], "456"),
        "bytes=7-" => with(206, &[("content-range", "bytes 7-9/*")], "789"),
        range => {
            assert_eq!(range, "bytes=10-");
            with(416, &[("content-range", "bytes */10")], "")
        }
    });
    let server = server.await;
    let place = Place::new();
    interrupted(&place, &server, "0123").await;
    edit(&place.description(), |state| state["length"] = ().into());
    place.run(&server, &[]).await.exits_with(0);
    place.has(RESULT);
}

#[tokio::test]
async fn part_that_another_command_writes_is_left_to_it() {
    let server = cut_first(0, part).await;
    let place = Place::new();
    interrupted(&place, &server, "0123").await;
    let other = fs::File::open(place.directory.path().join("answer.part")).unwrap();
    other.lock().unwrap();
    let ran = place.run(&server, &[]).await.exits_with(2);
    assert!(ran.stderr.contains("another command writes"), "{ran:?}");
    assert_eq!(server.lines().len(), 2, "nothing was sent");
    drop(other);
    place.run(&server, &[]).await.exits_with(0);
    place.has(RESULT);
}

#[cfg(unix)]
#[tokio::test]
async fn file_behind_a_link_at_the_part_is_not_written() {
    use std::os::unix::fs::symlink;

    let victim = tempfile::NamedTempFile::new().unwrap();
    fs::write(&victim, "0123").unwrap();
    let place = Place::new();
    let (link, target) = (
        place.directory.path().join("answer.part"),
        victim.path().to_owned(),
    );
    // It is there from the beginning, or since the submission.
    let server = cut_first(0, part).await;
    interrupted(&place, &server, "0123").await;
    fs::remove_file(&link).unwrap();
    symlink(&target, &link).unwrap();
    place.run(&server, &[]).await.exits_with(23);
    fs::remove_file(&link).unwrap();
    let planted = link.clone();
    let server = breaking(move |_, _| {
        symlink(&target, &planted).unwrap();
        with(200, &WHOLE, "abc")
    });
    place.run(&server.await, &[]).await.exits_with(23);
    assert_eq!(fs::read_to_string(&victim).unwrap(), "0123");
}

#[tokio::test]
async fn job_that_has_expired_meanwhile_is_said_and_the_part_is_kept() {
    let expired = [
        ("job-status", "expired"),
        ("content-type", "application/problem+json"),
    ];
    let problem = r#"{"title":"The result has expired"}"#;
    let server = cut_first(0, move |_| with(410, &expired, problem)).await;
    let place = Place::new();
    interrupted(&place, &server, "0123").await;
    let ran = place.run(&server, &[]).await.exits_with(22);
    assert!(ran.stderr.contains("The result has expired"), "{ran:?}");
    assert!(
        ran.stderr
            .contains("answer.part keeps the first 4 bytes: remove it"),
        "{ran:?}"
    );
    assert_eq!(place.part().as_deref(), Some("0123"));
    assert!(!place.file.exists());
}

#[tokio::test]
async fn without_a_strong_validator_the_whole_is_fetched_again() {
    for tag in [&[][..], &[("etag", "W/\"a\"")]] {
        let headers = [tag, &[("content-length", "10")]].concat();
        let server = breaking(move |number, seen| {
            assert!(!seen.headers.contains_key("range"));
            match number {
                1 => Answer::Truncated(response(200, &headers, "0123")),
                _ => with(200, &[], "abcdef"),
            }
        });
        let server = server.await;
        let place = Place::new();
        place.run(&server, &[]).await.exits_with(0);
        place.has("abcdef");
    }
}

#[tokio::test]
async fn download_that_breaks_off_again_and_again_ends() {
    let server = breaking(|_, _| cut(0)).await;
    let place = Place::new();
    let ran = place
        .run(&server, &["--poll-retries", "1"])
        .await
        .exits_with(18);
    assert_eq!(server.lines().len(), 3);
    assert!(ran.stderr.contains("resume with"), "{ran:?}");
}

#[tokio::test]
async fn whole_that_breaks_off_again_and_again_ends() {
    let server = breaking(|_, _| cut(4)).await;
    let place = Place::new();
    place
        .run(&server, &["--poll-retries", "1"])
        .await
        .exits_with(18);
    assert_eq!(server.lines().len(), 4);
    assert_eq!(place.part().as_deref(), Some("0123"));
}

#[tokio::test]
async fn job_is_resumed_with_the_part_of_its_own_result_only() {
    let server = cut_first(0, part).await;
    let place = Place::new();
    interrupted(&place, &server, "0123").await;
    let resume = async |job: &str, code| {
        let ran = run(&["resume", job, "--continue", "-o", place.path()]).await;
        ran.exits_with(code)
    };
    let ran = resume(&server.url("/work/2"), 2).await;
    assert!(ran.stderr.contains("another result"), "{ran:?}");
    let other = server.url("/other");
    let ran = poll(&["--continue", "-o", place.path(), &other])
        .await
        .exits_with(2);
    assert!(ran.stderr.contains("remove it to start over"), "{ran:?}");
    assert_eq!(server.lines().len(), 2, "nothing was sent");
    // The hints of AsyncJobLayer are no part of the job's name.
    resume(&server.url("/work/1?poll=7&due=3000"), 0).await;
    place.has(RESULT);
}

#[tokio::test]
async fn get_that_is_answered_at_once_is_continued_too() {
    let server = Server::start(|number, seen| match number {
        0 => cut(4),
        _ => part(seen),
    });
    let server = server.await;
    let place = Place::new();
    let url = server.url("/film");
    poll(&["--continue", "-o", place.path(), &url])
        .await
        .exits_with(0);
    place.has(RESULT);
    assert_eq!(server.lines(), ["GET /film", "GET /film"]);
}

#[tokio::test]
async fn other_answers_are_written_as_usual() {
    let place = Place::new();
    let server = Server::start(|_, _| with(201, &[], "made")).await;
    place.run(&server, &[]).await.exits_with(0);
    place.has("made");
    let server = Server::start(|_, _| with(404, &[], "gone")).await;
    place.run(&server, &[]).await.exits_with(22);
    place.has("gone");
    let ran = poll(&["--continue", "-o", "/dev/null", &server.url("/")]).await;
    ran.exits_with(22);
}

#[tokio::test]
async fn bytes_that_nothing_describes_are_not_continued() {
    let server = Server::start(|_, _| with(200, &WHOLE, RESULT)).await;
    let place = Place::new();
    fs::write(place.directory.path().join("answer.part"), "0123").unwrap();
    let ran = place.run(&server, &[]).await.exits_with(2);
    assert!(ran.stderr.contains("remove that file"), "{ran:?}");
    assert!(server.lines().is_empty());
    for line in [
        &["--continue"][..],
        &["--continue", "-i", "-o", "a"],
        &["--continue", "-I", "-o", "a"],
    ] {
        poll(&[line, &[&server.url("/")]].concat())
            .await
            .exits_with(2);
    }
}

#[tokio::test]
async fn part_that_cannot_be_described_is_not_left() {
    let server = breaking(|_, _| with(200, &WHOLE, RESULT)).await;
    let place = Place::new();
    fs::create_dir(place.description()).unwrap();
    place.run(&server, &[]).await.exits_with(23);
    assert_eq!(place.part(), None);
}

#[cfg(unix)]
#[tokio::test]
async fn description_of_a_part_is_its_owner_s_alone() {
    use std::os::unix::fs::PermissionsExt;

    let server = cut_first(0, part).await;
    let place = Place::new();
    interrupted(&place, &server, "0123").await;
    let description = place.description();
    let mode = fs::metadata(&description).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let text = fs::read_to_string(&description).unwrap();
    assert!(text.contains("/work/1"), "{text}");
}

/// Changes the description of a part.
fn edit(path: &Path, change: impl FnOnce(&mut Value)) {
    let text = fs::read_to_string(path).unwrap();
    let mut state: Value = serde_json::from_str(&text).unwrap();
    change(&mut state);
    fs::write(path, state.to_string()).unwrap();
}

#[tokio::test]
async fn credentials_do_not_go_where_a_description_says() {
    let server = cut_first(0, part).await;
    let place = Place::new();
    interrupted(&place, &server, "0123").await;
    let other = Raw::start(|_, _| String::new()).await;
    edit(&place.description(), |state| {
        state["job"]["url"] = other.url("/work/1").into();
        state["job"]["origin"] = other.url("/work/1").into();
    });
    let ran = place.run(&server, &["-u", "me:secret"]).await;
    assert_ne!(ran.code, 0, "{ran:?}");
    assert!(other.heads().is_empty(), "{ran:?}");
}
