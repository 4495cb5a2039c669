use std::time::Duration;

use clap::CommandFactory;
use http::Uri;

use super::*;
use crate::request::Origin;

fn parse(line: &[&str]) -> Result<Arguments, clap::Error> {
    Arguments::try_parse_from([&["poll"], line].concat())
}

#[test]
fn definition_is_consistent() {
    Arguments::command().debug_assert();
}

#[test]
fn url_is_needed_but_for_generating_and_subcommands() {
    assert!(parse(&[]).is_err());
    assert!(parse(&["--generate", "man"]).is_ok());
    let job = r#"{"version":1,"url":"http://a.example/1","origin":"http://a.example/"}"#;
    assert!(parse(&["resume", job]).is_ok());
    assert!(parse(&["resume"]).is_err());
}

#[test]
fn cross_origin_does_not_take_the_url_for_its_value() {
    let arguments = parse(&["--cross-origin", "http://example.com"]).unwrap();
    assert_eq!(arguments.send.connection.cross_origin, [Origin::Any]);
    assert!(arguments.send.url.is_some());
    let arguments = parse(&["--cross-origin=https://a.example", "http://example.com"]).unwrap();
    let one = Origin::One(Uri::from_static("https://a.example/"));
    assert_eq!(arguments.send.connection.cross_origin, [one]);
    assert!(parse(&["--cross-origin=a.example", "http://example.com"]).is_err());
}

#[test]
fn methods_are_tokens() {
    assert_eq!(method("PROPFIND").unwrap().as_str(), "PROPFIND");
    for text in ["", "GET /", "CONNECT"] {
        assert!(method(text).is_err(), "{text}");
    }
}

#[test]
fn dash_is_standard_output() {
    let arguments = parse(&["-o", "-", "example.com"]).unwrap();
    assert_eq!(arguments.send.follow.output().file, None);
}

#[test]
fn single_exchanges_and_connections_have_30_seconds() {
    let arguments = parse(&["status", "http://a.example/1"]).unwrap();
    let Some(Command::Status(status)) = arguments.command else {
        panic!("status");
    };
    assert_eq!(status.limit.deadline, Duration::from_secs(30));
    assert_eq!(status.connection.connect_timeout, Duration::from_secs(30));
    let arguments = parse(&["cancel", "-m", "5", "http://a.example/1"]).unwrap();
    let Some(Command::Cancel(cancel)) = arguments.command else {
        panic!("cancel");
    };
    assert_eq!(cancel.limit.deadline, Duration::from_secs(5));
}

#[test]
fn max_time_is_the_deadline() {
    for line in [
        &["-m", "1.5"][..],
        &["--max-time=1.5"],
        &["--deadline", "1.5s"],
    ] {
        let arguments = parse(&[line, &["a.example"]].concat()).unwrap();
        let deadline = arguments.send.follow.deadline;
        assert_eq!(deadline, Some(Duration::from_millis(1500)));
    }
}
