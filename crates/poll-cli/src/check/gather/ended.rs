//! The end of a job, and its result.

use std::time::Duration;

use futures_util::future::{Either, select};
use http::{
    HeaderName, HeaderValue, Method, StatusCode,
    header::{ACCEPT_RANGES, ETAG, IF_MATCH, IF_NONE_MATCH, IF_RANGE, RANGE},
};
use http_polling::{JobState, retry_after};
use tokio::time::{Instant, sleep, timeout};

use super::{
    client::Client,
    pending::{NAVIGATION, wait},
    unknown,
};
use crate::check::{
    evidence::Absence,
    location::JobUrls,
    record::Exchange,
    step::{Moment, Step},
};

/// The time for which polls ask to be held.
const HOLD: u64 = 20;

/// The time after the end of the job in which a held poll must be answered.
const AFTER_THE_END: Duration = Duration::from_secs(3);

/// An entity tag that no result has.
const OTHER_TAG: &str = "\"other-tag-of-poll-check\"";

/// Waits for the end of the job, and looks at its result.
pub(super) async fn look(client: &Client, job: &JobUrls, with_stranger: bool) {
    if !ends(client, job).await {
        let text = "the job has not ended in time (--max-time)".to_owned();
        for step in [Step::Done, Step::DoneStatus, Step::Deleted] {
            client.lacks(step, Absence::Late(text.clone()));
        }
        return;
    }
    client.get(Step::DoneStatus, &job.status()).await;
    client
        .ask(Step::DoneHead, Method::HEAD, &job.bare, &[])
        .await;
    let done = client.get(Step::Done, &job.bare).await;
    client.get(Step::DoneAgain, &job.bare).await;
    client
        .ask(Step::DonePage, Method::GET, &job.bare, &NAVIGATION)
        .await;
    if let Some(done) = done {
        file(client, job, &done).await;
    }
    if with_stranger {
        unknown::stranger(client, job, Moment::Ended).await;
    }
    client
        .ask(Step::Deleted, Method::DELETE, &job.bare, &[])
        .await;
    client.get(Step::AfterDelete, &job.bare).await;
}

/// Polls until the job has ended. Returns whether it has.
async fn ends(client: &Client, job: &JobUrls) -> bool {
    let mut step = Step::Held;
    let began = Instant::now();
    while !client.left().is_zero() {
        let seconds = client.left().as_secs().clamp(1, HOLD);
        let limit = Duration::from_secs(seconds) + AFTER_THE_END;
        let fields = [wait(seconds)];
        let mut held = Box::pin(client.ask_within(step, Method::GET, &job.bare, &fields, limit));
        let watched = Box::pin(watch(client, job, began));
        let answered = match select(&mut held, watched).await {
            Either::Left((answered, _)) => answered,
            Either::Right(((), _)) => match timeout(AFTER_THE_END, &mut held).await {
                Ok(answered) => answered,
                Err(_) => {
                    client.evidence.borrow_mut().held_past_the_end = Some(AFTER_THE_END);
                    drop(held);
                    client.get(Step::Polled, &job.bare).await
                }
            },
        };
        step = Step::Polled;
        let Some(exchange) = answered else {
            if client.is_exhausted() {
                return false;
            }
            sleep(least(began)).await;
            continue;
        };
        match exchange.answer.state() {
            Some(state) if state.is_final() => return true,
            None if !exchange.answer.is_pending() && exchange.answer.status.is_success() => {
                return true;
            }
            _ if exchange.took < Duration::from_secs(1) => {
                sleep(delay(&exchange).max(least(began))).await;
            }
            _ => {}
        }
    }
    false
}

/// Returns the delay that an answer asks for, within bounds.
fn delay(exchange: &Exchange) -> Duration {
    let told = retry_after(&exchange.answer.headers, std::time::SystemTime::now());
    let bounds = (Duration::from_millis(50), Duration::from_secs(15));
    told.unwrap_or(Duration::from_secs(1))
        .clamp(bounds.0, bounds.1)
}

/// Returns the least delay of a poll, which is longer the longer the job has been awaited, so that
/// enough requests are left for the rest of the check.
fn least(began: Instant) -> Duration {
    (began.elapsed() / 8).max(Duration::from_millis(100))
}

/// Asks for the status until the job has ended.
async fn watch(client: &Client, job: &JobUrls, began: Instant) {
    let mut pause = least(began);
    while !client.is_exhausted() {
        sleep(pause).await;
        let Some(exchange) = client.get(Step::Polled, &job.status()).await else {
            break;
        };
        if exchange.answer.state().is_some_and(JobState::is_final) {
            return;
        }
        pause = least(began).max(delay(&exchange));
    }
    std::future::pending().await
}

/// Asks for a result with preconditions and ranges, if it is offered as a file.
async fn file(client: &Client, job: &JobUrls, done: &Exchange) {
    let steps = [
        Step::NotModified,
        Step::Precondition,
        Step::Range,
        Step::RangeBeyond,
        Step::IfRange,
        Step::SeveralRanges,
        Step::UnreadableRange,
        Step::DeleteRefused,
    ];
    let is_done = done
        .answer
        .state()
        .is_none_or(|state| state == JobState::Done);
    let tag = done.answer.headers.get(ETAG);
    let is_file = done.answer.status == StatusCode::OK && done.answer.has(ACCEPT_RANGES);
    let Some(tag) = tag.filter(|_| is_done && is_file) else {
        let text = "results are no files: there is no Accept-Ranges";
        for step in steps {
            client.lacks(step, Absence::NotSent(text.to_owned()));
        }
        return;
    };
    let other = || HeaderValue::from_static(OTHER_TAG);
    let matching = [(IF_NONE_MATCH, tag.clone())];
    ask(client, Step::NotModified, Method::GET, job, &matching).await;
    let refused = [(IF_MATCH, other())];
    ask(client, Step::Precondition, Method::GET, job, &refused).await;
    ask(client, Step::DeleteRefused, Method::DELETE, job, &refused).await;
    let length = done.answer.body.len();
    let ranges = done.answer.lists("accept-ranges", "bytes") && done.answer.whole && length > 1;
    if !ranges {
        let text = "the result offers no ranges of bytes";
        for step in &steps[2..7] {
            client.lacks(*step, Absence::NotSent(text.to_owned()));
        }
        return;
    }
    let range = |text: String| {
        (
            RANGE,
            HeaderValue::try_from(text).expect("a range is a value"),
        )
    };
    let first = || range("bytes=0-0".to_owned());
    ask(client, Step::Range, Method::GET, job, &[first()]).await;
    let beyond = range(format!("bytes={length}-"));
    ask(client, Step::RangeBeyond, Method::GET, job, &[beyond]).await;
    ask(
        client,
        Step::IfRange,
        Method::GET,
        job,
        &[first(), (IF_RANGE, other())],
    )
    .await;
    let several = range(format!("bytes=0-0,{}-", length - 1));
    ask(client, Step::SeveralRanges, Method::GET, job, &[several]).await;
    let unreadable = range("bytes=one-two".to_owned());
    ask(
        client,
        Step::UnreadableRange,
        Method::GET,
        job,
        &[unreadable],
    )
    .await;
}

async fn ask(
    client: &Client,
    step: Step,
    method: Method,
    job: &JobUrls,
    fields: &[(HeaderName, HeaderValue)],
) {
    let limit = client.left();
    client
        .ask_within(step, method, &job.bare, fields, limit)
        .await;
}
