//! Progress while a call blocks.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use http_polling::JobState;
use tower_poll::{PollProgress, PollUpdate};
use tower_poll_testkit::{Answer, Script, ScriptedServer};

use crate::common::{exact_layer, post, send};

const URL: &str = "http://server.test/report";

const SECOND: Duration = Duration::from_secs(1);

const HALF: &str = r#"{"id":"1","state":"running","attempt":1,"progress":{"fraction":0.5}}"#;

/// Pending thrice, then done.
fn half() -> ScriptedServer {
    let progress = Answer::fhir_progress("90% done").retry_after(3 * SECOND);
    Script::new()
        .answer(accepted().retry_after(2 * SECOND))
        .answer(progress.body("not json"))
        .answer(Answer::new(502))
        .response(200, "")
        .server()
}

fn accepted() -> Answer {
    Answer::accepted("/work/1").body(HALF)
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
    send(layer, &half(), post(URL)).await.unwrap();
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
    send(exact_layer(), &half(), request).await.unwrap();
    check(&watching.await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn call_that_is_answered_at_once_tells_nothing() {
    let layer = exact_layer().observe(|update| panic!("{update:?}"));
    let server = Script::new().response(200, "").server();
    send(layer, &server, post(URL)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn interim_body_over_the_limit_has_no_document() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let updates = seen.clone();
    let layer = exact_layer()
        .drain_limit(HALF.len() / 2)
        .observe(move |update| updates.lock().unwrap().push(update.document().is_some()));
    let server = Script::new()
        .answer(accepted())
        .pending("/work/1", SECOND)
        .response(200, "")
        .server();
    send(layer, &server, post(URL)).await.unwrap();
    assert_eq!(*seen.lock().unwrap(), [false, false]);
}
