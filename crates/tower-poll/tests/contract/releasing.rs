//! Memory of the pending answer while its call waits.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::HeaderValue;
use tokio::time::sleep;
use tower::{Layer, ServiceExt};
use tower_poll::{PollLayer, PollPolicy, PollPolicyExt, Submitted, Update};

use crate::common::{Answer, Script, answer, exact, exact_layer, post, see_other, send};

const URL: &str = "http://server.test/report";

/// The buffer that an answer was read into. Tells when it is gone.
struct Buffer(Arc<AtomicBool>);

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        b"half of it is done"
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// A pending answer whose `X-Progress` is a slice of a buffer, and whether that buffer is gone.
fn pending() -> (Script, Arc<AtomicBool>) {
    let gone = Arc::new(AtomicBool::new(false));
    let flag = gone.clone();
    let script = Script::new(move |number, _| match number {
        0 => see_other("/work/1").map(|mut response| {
            let text = Bytes::from_owner(Buffer(flag.clone()));
            let mut value = HeaderValue::from_maybe_shared(text).unwrap();
            value.set_sensitive(true);
            response.headers_mut().insert("x-progress", value);
            response
        }),
        _ => answer(200, &[]) as Answer,
    });
    (script, gone)
}

/// Sends a request, and asserts that its buffer is gone while it waits.
async fn assert_released<P: PollPolicy + Clone>(layer: PollLayer<P>) {
    let (script, gone) = pending();
    let observed = async {
        sleep(Duration::from_millis(500)).await;
        gone.load(Ordering::SeqCst)
    };
    let (response, is_gone) = tokio::join!(send(layer, &script, post(URL)), observed);
    assert_eq!(response.unwrap().status(), 200);
    assert!(is_gone, "the buffer is kept while the call waits");
}

#[tokio::test(start_paused = true)]
async fn waiting_call_keeps_nothing_of_the_pending_answer() {
    assert_released(exact_layer()).await;
}

#[tokio::test(start_paused = true)]
async fn policy_that_prepares_polls_sees_a_copy_of_the_headers() {
    let seen = Arc::new(Mutex::new(None));
    let prepared = seen.clone();
    let policy = exact().prepare(move |_, hop| {
        *prepared.lock().unwrap() = hop.headers().get("x-progress").cloned();
    });
    assert_released(PollLayer::with_policy(policy)).await;
    let value = seen.lock().unwrap().take().unwrap();
    assert_eq!(value, "half of it is done");
    assert!(value.is_sensitive());
}

#[tokio::test(start_paused = true)]
async fn observer_is_told_before_the_headers_go() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let told = seen.clone();
    let layer = exact_layer().observe(move |update| {
        let progress = update.x_progress().map(str::to_owned);
        told.lock().unwrap().push(progress);
    });
    assert_released(layer).await;
    assert_eq!(
        *seen.lock().unwrap(),
        [Some("half of it is done".to_owned())]
    );
}

#[tokio::test(start_paused = true)]
async fn job_that_is_asked_late_still_tells_of_the_headers() {
    let (script, _) = pending();
    let mut service = exact_layer().layer(script);
    let Submitted::Pending(mut job) = service
        .ready()
        .await
        .unwrap()
        .submit(post(URL))
        .await
        .unwrap()
    else {
        panic!("the answer is pending");
    };
    sleep(Duration::from_secs(5)).await;
    let Some(Ok(Update::Pending(update))) = job.next().await else {
        panic!("the submission's answer comes first");
    };
    assert_eq!(update.x_progress(), Some("half of it is done"));
}
