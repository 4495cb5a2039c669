//! The limits of streams of events: their pace, their length, and their places.

use super::{Events, events_of, live, reporting, since, submit, with_principals};
use crate::support::{SECOND, eager, get, post, send, settle, slow, with, wrap};
use http::StatusCode;
use tokio::time::{Instant, sleep};
use tower_async_job::ObservedJob;

#[tokio::test(start_paused = true)]
async fn many_changes_are_one_event_per_second() {
    let service = wrap(&eager(live()), reporting(1000, SECOND / 100));
    let job = submit(&service, post("/report")).await;
    let events = Events::open(&service, events_of(&job)).await.rest().await;
    assert!((10..=13).contains(&events.len()), "{}", events.len());
}

#[tokio::test(start_paused = true)]
async fn s89_slow_reader_gets_the_newest_state() {
    let service = wrap(&eager(live()), reporting(100, SECOND));
    let job = submit(&service, post("/report")).await;
    let mut events = Events::open(&service, events_of(&job)).await;
    events.next().await.expect("an event");
    sleep(50 * SECOND + SECOND / 2).await;
    let next = events.next().await.expect("an event");
    let done = next.data["progress"]["done"].as_u64();
    assert!(done.is_some_and(|done| done >= 50), "{next:?}");
}

#[tokio::test(start_paused = true)]
async fn streams_and_held_polls_share_their_limit() {
    let layer = eager(live().hold_limits(1, 1));
    let service = wrap(&layer, slow(600 * SECOND, "late"));
    let job = submit(&service, post("/report")).await;
    let wait = || send(&service, with(get(&job), "prefer", "wait=2"));
    let mut events = Events::open(&service, events_of(&job)).await;
    events.next().await.expect("an event");
    let refused = send(&service, events_of(&job)).await;
    assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(refused.header("job-status"), "running");
    assert_ne!(refused.header("retry-after"), "");
    assert_eq!(wait().await.header("preference-applied"), "");
    drop(events);
    assert_eq!(wait().await.header("preference-applied"), "wait=2");
    let held = tokio::spawn({
        let (service, job) = (service.clone(), job.clone());
        async move { send(&service, with(get(&job), "prefer", "wait=20")).await }
    });
    settle().await;
    let refused = send(&service, events_of(&job)).await;
    assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
    held.abort();
    assert!(held.await.is_err());
    Events::open(&service, events_of(&job)).await;
}

#[tokio::test(start_paused = true)]
async fn s89_client_that_never_reads_has_its_place_for_no_longer_than_a_stream_lasts() {
    let layer = eager(live().hold_limits(1, 1).max_hold(10 * SECOND));
    let service = wrap(&layer, slow(600 * SECOND, "late"));
    let job = submit(&service, post("/report")).await;
    let mut unread = Events::open(&service, events_of(&job)).await;
    sleep(99 * SECOND).await;
    let refused = send(&service, events_of(&job)).await;
    assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
    sleep(2 * SECOND).await;
    let other = Events::open(&service, events_of(&job)).await;
    unread.next().await.expect("its first event");
    assert!(unread.next().await.is_none());
    let refused = send(&service, events_of(&job)).await;
    assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
    drop(other);
}

#[tokio::test(start_paused = true)]
async fn jobs_of_other_principals_are_unknown() {
    let layer = eager(with_principals(live()).hold_limits(10, 1));
    let service = wrap(&layer, slow(600 * SECOND, "mine"));
    let of = |user, request| with(request, "x-user", user);
    let job = submit(&service, of("me", post("/report"))).await;
    let none = format!("/work/{}", "0".repeat(32));
    let unknown = send(&service, of("you", events_of(&none))).await;
    for stranger in [events_of(&job), of("you", events_of(&job))] {
        let answer = send(&service, since("1", stranger)).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND);
        assert_eq!(answer.headers, unknown.headers);
        assert_eq!(answer.body, unknown.body);
    }
    let _mine = Events::open(&service, of("me", events_of(&job))).await;
    let yours = submit(&service, of("you", post("/report"))).await;
    let refused = send(&service, of("me", events_of(&job))).await;
    assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
    Events::open(&service, of("you", events_of(&yours))).await;
}

#[tokio::test(start_paused = true)]
async fn silent_stream_beats_and_ends_after_ten_holds() {
    let layer = eager(live().max_hold(10 * SECOND));
    let service = wrap(&layer, slow(600 * SECOND, "late"));
    let job = submit(&service, post("/report")).await;
    let mut events = Events::open(&service, events_of(&job)).await;
    events.next().await.expect("an event");
    let begun = Instant::now();
    for beat in 1..10 {
        assert!(events.next().await.expect("a heartbeat").is_heartbeat());
        assert_eq!(begun.elapsed(), beat * 10 * SECOND);
    }
    assert!(events.next().await.is_none());
    assert_eq!(begun.elapsed(), 100 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn stream_is_silent_for_no_longer_than_a_hold_between_its_reads() {
    let layer = eager(live().max_hold(SECOND * 3 / 2));
    let service = wrap(&layer, reporting(1, SECOND * 9 / 5));
    let job = submit(&service, post("/report")).await;
    let mut events = Events::open(&service, events_of(&job)).await;
    events.next().await.expect("an event");
    let begun = Instant::now();
    for (name, millis) in [("", 1500), ("progress", 2000), ("", 3500), ("end", 3600)] {
        let event = events.next().await.expect("an event");
        assert_eq!(
            (&*event.name, begun.elapsed().as_millis()),
            (name, millis),
            "{event:?}"
        );
    }
    assert!(events.next().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn delay_to_connect_again_is_that_of_a_poll_within_limits() {
    for (delay, retry) in [(SECOND / 2, 1000), (3 * SECOND, 3000), (60 * SECOND, 5000)] {
        let layer = eager(live().estimator(move |_: &ObservedJob<'_>| delay));
        let service = wrap(&layer, slow(600 * SECOND, "late"));
        let job = submit(&service, post("/report")).await;
        let mut events = Events::open(&service, events_of(&job)).await;
        assert_eq!(events.next().await.expect("an event").retry, Some(retry));
    }
}

#[tokio::test(start_paused = true)]
async fn streams_of_a_busy_node_read_less_often() {
    let layer = eager(live().max_hold(2 * SECOND));
    let service = wrap(&layer, reporting(1000, SECOND / 10));
    let job = submit(&service, post("/report")).await;
    let mut others = Vec::new();
    for _ in 0..3000 {
        others.push(Events::open(&service, events_of(&job)).await);
    }
    let mut events = others.pop().expect("one");
    events.next().await.expect("an event");
    let begun = Instant::now();
    assert!(events.next().await.expect("a heartbeat").is_heartbeat());
    assert_eq!(begun.elapsed(), 2 * SECOND);
    assert_eq!(events.next().await.expect("an event").name, "progress");
    assert_eq!(begun.elapsed(), 3 * SECOND);
}
