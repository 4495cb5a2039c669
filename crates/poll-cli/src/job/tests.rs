use std::process::Command;

use super::*;

const JSON: &str =
    r#"{"version":1,"url":"http://a.example/it's?a=$HOME","origin":"http://a.example/"}"#;

#[cfg(unix)]
#[test]
fn offered_command_survives_a_shell() {
    let job = read(JSON).unwrap().job(None);
    let offer = offer(&job);
    let (_, command) = offer.split_once("poll resume ").unwrap();
    let script = format!("printf %s {command}");
    let output = Command::new("sh").args(["-c", &script]).output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), to_json(&job));
}

#[test]
fn what_is_no_job_is_refused() {
    for text in [
        "{",
        "{}",
        r#"{"version":1}"#,
        r#"{"version":1,"url":"/work/1","origin":"/"}"#,
        r#"{"version":1,"url":"/work/1","origin":"http://a.example/"}"#,
        "/no/such/file",
        "/",
        "ftp://a.example/",
    ] {
        assert!(read(text).is_err(), "{text}");
    }
    let hostile = r#"{"version":1,"url":"\u001b[2J\n","origin":"http://a.example/"}"#;
    let error = read(hostile).unwrap_err();
    assert!(!error.contains(char::is_control), "{error:?}");
}

#[test]
fn endless_file_is_not_read_whole() {
    assert!(text_of(io::repeat(b'a'), "a").unwrap().len() as u64 == LIMIT);
}

#[test]
fn only_origins_that_the_user_wrote_are_trusted() {
    let trusted = |text: &str| -> Origin { text.parse().unwrap() };
    let handle = read(JSON).unwrap();
    let failure = handle.confirm(&[]).unwrap_err().to_string();
    assert!(
        failure.contains("--trust-origin=http://a.example,"),
        "{failure}"
    );
    assert!(handle.confirm(&[trusted("http://b.example")]).is_err());
    assert!(handle.confirm(&[trusted("http://a.example:80")]).is_ok());
    assert!(handle.confirm(&[trusted("*")]).is_ok());
    let by_url = read("http://me:secret@a.example/work/1").unwrap();
    assert!(by_url.confirm(&[]).is_ok());
    assert_eq!(by_url.user.as_deref(), Some("me:secret"));
    assert_eq!(by_url.job(None).url(), "http://a.example/work/1");
}
