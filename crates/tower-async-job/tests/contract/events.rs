//! Live events: their order and ids, and the ends of their streams.

mod limits;

use std::{sync::Arc, time::Duration};

use crate::support::{
    Answer, Body, Handler, SECOND, ask, call, eager,
    faulty::{Fault, FaultyStore, Op},
    get, handler, path_of, post, request, send, settle, slow, wrap,
};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Version};
use http_body_util::BodyExt;
use serde_json::Value;
use tokio::time::{Instant, sleep, timeout};
use tower::{Layer, ServiceExt};
use tower_async_job::{
    AsyncJob, AsyncJobLayer, Builder, JobContext, PendingStatus, ResponseBody,
    store::{Principal, Retention},
};
use tower_poll::PollLayer;

fn live() -> Builder {
    AsyncJobLayer::builder().events(true)
}

fn with_principals(builder: Builder) -> Builder {
    builder.principal(|request| {
        let user = request.headers.get("x-user")?.to_str().ok()?;
        Some(Principal::new(user))
    })
}

/// Returns a handler that reports its progress this number of times, each after a pause.
fn reporting(times: u64, pause: Duration) -> Handler {
    handler(move |request| async move {
        let job = JobContext::of(&request);
        for done in 1..=times {
            sleep(pause).await;
            job.progress_of(done, times);
        }
        sleep(pause).await;
        Response::new(Body::from("done"))
    })
}

/// Submits a job, and returns its URL.
async fn submit(service: &AsyncJob<Handler>, request: Request<Body>) -> String {
    let accepted = send(service, request).await.pending();
    path_of(accepted.location()).to_owned()
}

fn events_of(job: &str) -> Request<Body> {
    get(&format!("{job}/events"))
}

fn since(id: &str, mut request: Request<Body>) -> Request<Body> {
    let id = HeaderValue::from_str(id).expect("a value");
    request.headers_mut().insert("last-event-id", id);
    request
}

/// An event, by the lines of its fields; a comment has none.
#[derive(Debug, Default)]
struct Event {
    retry: Option<u64>,
    id: String,
    name: String,
    data: Value,
}

impl Event {
    #[track_caller]
    fn read(text: &str) -> Self {
        let text = text.strip_suffix("\n\n").expect("a whole event");
        let mut event = Self::default();
        for line in text.lines() {
            match line.split_once(": ") {
                Some(("retry", delay)) => event.retry = Some(delay.parse().expect("digits")),
                Some(("id", id)) => id.clone_into(&mut event.id),
                Some(("event", name)) => name.clone_into(&mut event.name),
                Some(("data", data)) => event.data = serde_json::from_str(data).expect("json"),
                _ => assert_eq!(line, ":", "{text}"),
            }
        }
        event
    }

    fn version(&self) -> u64 {
        self.id.parse().expect("digits")
    }

    fn is_heartbeat(&self) -> bool {
        self.name.is_empty() && self.data.is_null()
    }
}

/// A stream of events.
struct Events {
    headers: HeaderMap,
    body: ResponseBody<Body>,
}

impl Events {
    async fn open(service: &AsyncJob<Handler>, request: Request<Body>) -> Self {
        let response = call(service, request).await;
        assert_eq!(response.status(), StatusCode::OK, "{response:?}");
        let (parts, body) = response.into_parts();
        Self {
            headers: parts.headers,
            body,
        }
    }

    async fn next(&mut self) -> Option<Event> {
        let frame = self.body.frame().await?.expect("no error");
        let data = frame.into_data().expect("data");
        Some(Event::read(str::from_utf8(&data).expect("text")))
    }

    async fn rest(mut self) -> Vec<Event> {
        let mut events = Vec::new();
        while let Some(event) = self.next().await {
            events.push(event);
        }
        events
    }
}

#[tokio::test(start_paused = true)]
async fn events_are_off_by_default() {
    let service = wrap(&eager(AsyncJobLayer::builder()), slow(60 * SECOND, "late"));
    let accepted = send(&service, post("/report")).await.pending();
    assert_eq!(accepted.header("link"), "");
    let job = path_of(accepted.location());
    for method in [Method::GET, Method::HEAD, Method::DELETE] {
        let [events, other] = ["events", "other"].map(|part| {
            let request = request(method.clone(), &format!("{job}/{part}"));
            send(&service, request)
        });
        let (events, other) = (events.await, other.await);
        assert_eq!(events.status, StatusCode::NOT_FOUND);
        assert_eq!(events.headers, other.headers);
        assert_eq!(events.body, other.body);
    }
    send(&service, get(job)).await.pending();
}

#[tokio::test(start_paused = true)]
async fn pending_answers_link_to_the_events() {
    for status in [PendingStatus::SeeOther, PendingStatus::Accepted] {
        let layer = eager(live().public_base("/api/work").pending_status(status));
        let service = wrap(&layer, slow(5 * SECOND, "done"));
        let accepted = send(&service, post("/report")).await.pending();
        let url = path_of(accepted.location()).to_owned();
        let job = url.strip_prefix("/api").expect("the public base");
        let link = format!("<{url}/events>; rel=\"monitor\"");
        assert_eq!(accepted.header("link"), link);
        let polled = send(&service, get(job)).await.pending();
        assert_eq!(polled.header("link"), link);
        sleep(6 * SECOND).await;
        assert_eq!(send(&service, get(job)).await.header("link"), "");
    }
}

#[tokio::test(start_paused = true)]
async fn changes_come_in_order_up_to_the_end() {
    let service = wrap(&eager(live()), reporting(3, 2 * SECOND));
    let job = submit(&service, post("/report")).await;
    let begun = Instant::now();
    let events = Events::open(&service, events_of(&job)).await;
    let header = |name| events.headers.get(name).expect(name);
    assert_eq!(header("content-type"), "text/event-stream");
    assert_eq!(header("cache-control"), "no-store");
    assert_eq!(header("x-accel-buffering"), "no");
    assert!(!events.headers.contains_key("job-status"));
    let events = events.rest().await;
    assert_eq!(begun.elapsed(), 8 * SECOND, "the end comes at once");
    let (end, progress) = events.split_last().expect("an end");
    let done = |event: &Event| {
        assert_eq!(event.name, "progress");
        assert_eq!(event.data["state"], "running");
        event.data["progress"]["done"].as_u64()
    };
    let done: Vec<_> = progress.iter().map(done).collect();
    assert_eq!(done, [None, Some(1), Some(2), Some(3)]);
    assert!(events.is_sorted_by(|a, b| a.version() < b.version()));
    assert_eq!(events[0].retry, Some(1000));
    assert_eq!(end.name, "end");
    assert_eq!(end.data["state"], "done");
    assert_eq!(end.data["progress"]["done"], 3);
    let location = end.data["location"].as_str().expect("a URL");
    assert_eq!(send(&service, get(location)).await.body, "done");
}

#[tokio::test(start_paused = true)]
async fn data_is_the_status_document_of_pending_answers() {
    let service = wrap(
        &eager(live()),
        handler(|request| async move {
            let job = JobContext::of(&request);
            job.message("two\nlines");
            job.partial("so far");
            job.metadata("rows", 7);
            std::future::pending().await
        }),
    );
    let job = submit(&service, post("/report")).await;
    settle().await;
    let mut pending = send(&service, get(&job)).await.pending().json();
    let delay = pending.as_object_mut().expect("an object");
    assert!(delay.remove("retry_after_ms").is_some());
    let mut events = Events::open(&service, events_of(&job)).await;
    assert_eq!(events.next().await.expect("an event").data, pending);
    assert_eq!(pending["partial"], "so far");
}

#[tokio::test(start_paused = true)]
async fn client_that_connects_again_gets_what_has_changed() {
    let service = wrap(&eager(live()), reporting(2, 10 * SECOND));
    let job = submit(&service, post("/report")).await;
    let mut events = Events::open(&service, events_of(&job)).await;
    let first = events.next().await.expect("an event");
    drop(events);
    let mut same = Events::open(&service, since(&first.id, events_of(&job))).await;
    let begun = Instant::now();
    let opening = same.next().await.expect("a comment");
    assert!(opening.is_heartbeat() && opening.retry.is_some());
    assert_eq!(begun.elapsed(), Duration::ZERO);
    drop(same);
    sleep(11 * SECOND).await;
    let mut changed = Events::open(&service, since(&first.id, events_of(&job))).await;
    let begun = Instant::now();
    let next = changed.next().await.expect("an event");
    assert_eq!(next.data["progress"]["done"], 1);
    assert!(next.version() > first.version());
    assert_eq!(begun.elapsed(), Duration::ZERO);
    let next = changed.next().await.expect("an event");
    assert_eq!(next.data["progress"]["done"], 2);
}

#[tokio::test(start_paused = true)]
async fn id_that_is_unknown_or_malformed_is_none() {
    let service = wrap(&eager(live()), slow(60 * SECOND, "late"));
    let job = submit(&service, post("/report")).await;
    let endless = "9".repeat(4000);
    for id in ["", "0", "-1", "x", "18446744073709551616", "1 ", &endless] {
        let mut events = Events::open(&service, since(id, events_of(&job))).await;
        let first = events.next().await.expect("an event");
        assert_eq!(first.name, "progress", "{id:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn client_that_has_had_the_end_gets_204() {
    let service = wrap(&eager(live()), slow(SECOND, "done"));
    let job = submit(&service, post("/report")).await;
    let end = Events::open(&service, events_of(&job)).await.rest().await;
    let end = end.last().expect("an end");
    let over = send(&service, since(&end.id, events_of(&job))).await;
    assert_eq!(over.status, StatusCode::NO_CONTENT);
    assert_eq!(over.header("cache-control"), "no-store");
    assert_eq!(over.body, "");
    let again = Events::open(&service, events_of(&job)).await.rest().await;
    let [again] = &*again else {
        panic!("{again:?}")
    };
    assert_eq!((&again.id, &again.data), (&end.id, &end.data));
}

#[tokio::test(start_paused = true)]
async fn cancellation_is_an_end() {
    let service = wrap(&eager(live()), slow(600 * SECOND, "late"));
    let job = submit(&service, post("/report")).await;
    let mut events = Events::open(&service, events_of(&job)).await;
    events.next().await.expect("an event");
    sleep(SECOND / 4).await;
    let begun = Instant::now();
    send(&service, request(Method::DELETE, &job)).await;
    let end = events.next().await.expect("an event");
    assert_eq!(begun.elapsed(), Duration::ZERO);
    assert_eq!(
        (&*end.name, &end.data["state"]),
        ("end", &"cancelled".into())
    );
    assert!(events.next().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn listening_delays_neither_a_deadline_nor_an_expiry() {
    let retention = Retention::new(60 * SECOND, 60 * SECOND);
    let layer = live().retention(retention).job_deadline(30 * SECOND);
    let service = wrap(&eager(layer), slow(600 * SECOND, "late"));
    let job = submit(&service, post("/report")).await;
    let begun = Instant::now();
    let end = Events::open(&service, events_of(&job)).await.rest().await;
    let end = end.last().expect("an end");
    assert_eq!(end.data["state"], "timed-out");
    assert_eq!(begun.elapsed(), 30 * SECOND);
    sleep(50 * SECOND).await;
    send(&service, events_of(&job)).await;
    sleep(11 * SECOND).await;
    let expired = Events::open(&service, since(&end.id, events_of(&job))).await;
    let expired = expired.rest().await;
    assert_eq!(expired[0].data["state"], "expired");
    sleep(60 * SECOND).await;
    let unknown = send(&service, events_of(&job)).await;
    assert_eq!(unknown.status, StatusCode::NOT_FOUND);
}

#[tokio::test(start_paused = true)]
async fn job_that_is_removed_before_its_end_is_seen_is_unknown() {
    let service = wrap(&eager(live()), slow(SECOND / 4, "done"));
    let job = submit(&service, post("/report")).await;
    let mut events = Events::open(&service, events_of(&job)).await;
    events.next().await.expect("an event");
    sleep(SECOND / 2).await;
    send(&service, request(Method::DELETE, &job)).await;
    let end = events.next().await.expect("an event");
    assert_eq!((&*end.name, &end.data["state"]), ("end", &"unknown".into()));
    assert_eq!(end.id, "");
    assert!(events.next().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn s40_shutdown_ends_streams_with_its_held_polls() {
    let layer = eager(live());
    let service = wrap(&layer, slow(600 * SECOND, "late"));
    let job = submit(&service, post("/report")).await;
    let events = Events::open(&service, events_of(&job)).await;
    let shutdown = tokio::spawn({
        let layer = layer.clone();
        async move { layer.shutdown(10 * SECOND).await }
    });
    let begun = Instant::now();
    let events = events.rest().await;
    assert_eq!(begun.elapsed(), 10 * SECOND);
    let end = events.last().expect("an end");
    assert_eq!(end.data["state"], "lost", "as for a held poll");
    shutdown.await.expect("no panic");
}

#[tokio::test(start_paused = true)]
async fn s72_client_that_listens_is_waited_for_until_it_has_the_result() {
    let layer = eager(live());
    let service = wrap(&layer, slow(40 * SECOND, "done"));
    let job = submit(&service, post("/report")).await;
    let events = Events::open(&service, events_of(&job)).await;
    let shutdown = tokio::spawn({
        let layer = layer.clone();
        async move { layer.shutdown(60 * SECOND).await }
    });
    let events = events.rest().await;
    assert_eq!(events.last().expect("an end").data["state"], "done");
    sleep(3 * SECOND).await;
    assert!(!shutdown.is_finished());
    assert_eq!(send(&service, get(&job)).await.body, "done");
    let ended = timeout(2 * SECOND, shutdown).await;
    ended.expect("no client is left").expect("no panic");
}

#[tokio::test(start_paused = true)]
async fn s25_jobs_of_other_nodes_are_seen() {
    let store = Arc::new(FaultyStore::shared(30 * SECOND));
    let [runner, front] = [(), ()].map(|()| eager(live().store(store.clone())));
    let service = wrap(&runner, reporting(2, 3 * SECOND));
    let job = submit(&service, post("/report")).await;
    let begun = Instant::now();
    let front = wrap(&front, slow(SECOND, "unused"));
    let events = Events::open(&front, events_of(&job)).await.rest().await;
    let done = |event: &Event| event.data["progress"]["done"].as_u64();
    let done: Vec<_> = events.iter().map(done).collect();
    assert_eq!(done, [None, Some(1), Some(2), Some(2)]);
    assert_eq!(events[3].name, "end");
    assert_eq!(begun.elapsed(), 9 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn s17_stream_outlasts_a_store_that_is_away_for_a_time() {
    let store = Arc::new(FaultyStore::shared(30 * SECOND));
    let layer = eager(live().store(store.clone()));
    let service = wrap(&layer, reporting(3, 5 * SECOND));
    let job = submit(&service, post("/report")).await;
    let mut events = Events::open(&service, events_of(&job)).await;
    events.next().await.expect("an event");
    store.plan(Op::Read, Fault::Unavailable, 8);
    let events = events.rest().await;
    assert_eq!(events.last().expect("an end").data["state"], "done");
    store.plan(Op::Read, Fault::Unavailable, 1);
    let refused = send(&service, events_of(&job)).await;
    assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_ne!(refused.header("retry-after"), "");
}

#[tokio::test(start_paused = true)]
async fn s51_events_are_read_by_get_alone_and_not_over_http_1_0() {
    let layer = eager(live());
    let service = wrap(&layer, slow(600 * SECOND, "late"));
    let job = submit(&service, post("/report")).await;
    let events = format!("{job}/events");
    let asked = async |method: Method| -> Answer { ask(&layer, request(method, &events)).await };
    for method in [Method::HEAD, Method::POST, Method::DELETE] {
        let refused = asked(method.clone()).await;
        assert_eq!(refused.status, StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(refused.header("allow"), "GET, OPTIONS");
        assert_eq!(refused.body.is_empty(), method == Method::HEAD);
    }
    let options = asked(Method::OPTIONS).await;
    assert_eq!(options.status, StatusCode::NO_CONTENT);
    assert_eq!(options.header("allow"), "GET, OPTIONS");
    let mut old = get(&events);
    *old.version_mut() = Version::HTTP_10;
    let refused = send(&service, old).await;
    assert_eq!(refused.status, StatusCode::HTTP_VERSION_NOT_SUPPORTED);
    send(&service, get(&job)).await.pending();
}

#[tokio::test(start_paused = true)]
async fn poll_layer_ignores_events() {
    let jobs = wrap(&eager(live()), slow(5 * SECOND, "done"));
    let polling = PollLayer::new().layer(jobs.clone());
    let response = polling.oneshot(post("/report")).await.expect("done");
    let body = response.into_body().collect().await.expect("whole");
    assert_eq!(body.to_bytes(), "done");
    let job = submit(&jobs, post("/report")).await;
    let polling = PollLayer::new().layer(jobs);
    let stream = polling.oneshot(events_of(&job)).await.expect("a stream");
    assert_eq!(stream.headers()["content-type"], "text/event-stream");
    let events = stream.into_body().collect().await.expect("whole");
    let events = events.to_bytes();
    let events = str::from_utf8(&events).expect("text");
    assert_eq!(events.matches("event: end\n").count(), 1, "{events}");
}
