//! Progress while a call blocks.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use http_polling::JobState;
use tower_poll::{PollProgress, PollUpdate};

use crate::common::{Answer, Script, answer, answer_with, exact_layer, post, see_other, send};

const URL: &str = "http://server.test/report";

const HALF: &str = r#"{"id":"1","state":"running","attempt":1,"progress":{"fraction":0.5}}"#;

fn half(number: usize) -> Answer {
    let headers = [("location", "/work/1"), ("retry-after", "2")];
    match number {
        0 => answer_with(202, &headers, HALF),
        1 => answer_with(
            202,
            &[("x-progress", "90% done"), ("retry-after", "3")],
            "not json",
        ),
        2 => answer(502, &[]),
        _ => answer(200, &[]),
    }
}

fn check(updates: &[PollUpdate]) {
    let [first, second, third] = updates else {
        panic!("{} updates", updates.len());
    };
    assert_eq!((first.polls(), first.status().as_u16()), (0, 202));
    assert_eq!(first.url(), "http://server.test/work/1");
    assert_eq!(first.delay(), Duration::from_secs(2));
    assert_eq!(first.retry_after(), Some(Duration::from_secs(2)));
    assert_eq!(first.state(), Some(JobState::Running));
    assert_eq!(first.progress().unwrap().ratio(), Some(0.5));
    assert_eq!(first.document().unwrap()["attempt"], 1);
    assert_eq!(second.x_progress(), Some("90% done"));
    assert_eq!((second.polls(), second.document()), (1, None));
    assert_eq!(second.elapsed(), Duration::from_secs(2));
    assert_eq!((third.retries(), third.status().as_u16()), (1, 502));
}

#[tokio::test(start_paused = true)]
async fn observer_of_the_layer_is_told_of_every_pending_answer() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let updates = seen.clone();
    let layer = exact_layer().observe(move |update| updates.lock().unwrap().push(update.clone()));
    let script = Script::new(|number, _| half(number));
    send(layer, &script, post(URL)).await.unwrap();
    check(&seen.lock().unwrap());
}

#[tokio::test(start_paused = true)]
async fn channel_in_a_request_has_its_updates_and_ends_with_the_call() {
    let (progress, mut receiver) = PollProgress::channel();
    let mut request = post(URL);
    request.extensions_mut().insert(progress);
    let watching = tokio::spawn(async move {
        let mut updates = Vec::new();
        while receiver.changed().await.is_ok() {
            updates.extend(receiver.borrow_and_update().clone());
        }
        updates
    });
    let script = Script::new(|number, _| half(number));
    send(exact_layer(), &script, request).await.unwrap();
    check(&watching.await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn call_that_is_answered_at_once_tells_nothing() {
    let layer = exact_layer().observe(|update| panic!("{update:?}"));
    let script = Script::new(|_, _| answer(200, &[]));
    send(layer, &script, post(URL)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn interim_body_over_the_limit_has_no_document() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let updates = seen.clone();
    let layer = exact_layer()
        .drain_limit(HALF.len() / 2)
        .observe(move |update| updates.lock().unwrap().push(update.document().is_some()));
    let script = Script::new(|number, _| match number {
        0 => answer_with(202, &[("location", "/work/1")], HALF),
        1 => see_other("/work/1"),
        _ => answer(200, &[]),
    });
    send(layer, &script, post(URL)).await.unwrap();
    assert_eq!(*seen.lock().unwrap(), [false, false]);
}
