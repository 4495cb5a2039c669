//! Whole calls to a server whose answers come from the input.
#![no_main]

use std::time::Duration;

use http::{
    Method, Request, Uri,
    header::{AUTHORIZATION, COOKIE},
};
use http_polling::same_origin;
use http_polling_fuzz::{
    Asked,
    call::{Answer, run},
    is_pollable,
};
use libfuzzer_sys::fuzz_target;
use tower_poll::{PollLayer, StandardPolicy};

const MIN_DELAY: Duration = Duration::from_millis(100);
const DEADLINE: Duration = Duration::from_secs(600);
const MAX_POLLS: u32 = 12;
const ELSEWHERE: &str = "https://elsewhere.example";

fuzz_target!(|input: (Asked, Vec<Answer>)| {
    let (asked, answers) = input;
    let elsewhere = Uri::from_static(ELSEWHERE);
    let policy = StandardPolicy::new()
        .min_delay(MIN_DELAY)
        .cross_origin([elsewhere.clone()]);
    let layer = PollLayer::with_policy(policy)
        .deadline(DEADLINE)
        .max_polls(MAX_POLLS);
    let request = Request::builder()
        .method(asked.method.clone())
        .uri(asked.uri.clone())
        .header(AUTHORIZATION, "secret")
        .header(COOKIE, "own=secret")
        .body("the work")
        .expect("a valid request");
    let run = run(layer, request, answers);

    assert!(run.took <= DEADLINE + Duration::from_millis(102));
    assert!(run.seen.len() <= 1 + MAX_POLLS as usize);
    let mut has_left = false;
    for pair in run.seen.windows(2) {
        let (from, poll) = (&pair[0], &pair[1]);
        assert!(poll.at >= from.at + MIN_DELAY);
        assert!(
            is_pollable(&poll.uri) || poll.uri == asked.uri,
            "{}",
            poll.uri
        );
        assert_eq!(poll.method == Method::HEAD, asked.method == Method::HEAD);
        assert!(matches!(poll.method, Method::GET | Method::HEAD));
        let is_home = same_origin(&poll.uri, &asked.uri);
        assert!(
            is_home || same_origin(&poll.uri, &elsewhere),
            "{}",
            poll.uri
        );
        has_left |= !is_home;
        if has_left {
            assert!(!poll.headers.contains_key(AUTHORIZATION));
            let mut cookies = poll.headers.get_all(COOKIE).iter();
            assert!(cookies.all(|value| value != "own=secret"));
        }
    }
    if let Err(error) = run.outcome {
        assert!(!format!("{error:?}").contains("own=secret"));
    }
});
